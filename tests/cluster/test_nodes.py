"""SQLite serves one node: a cluster of several is refused, and a node that joins later is given no worker."""

import pytest

from stream_detect.cluster.nodes import OneNode
from stream_detect.errors import SettingsError
from stream_detect.settings import CameraSettings
from tests.cluster.local_nodes import LocalNodes
from tests.patience import until


def test_one_node_is_one() -> None:
    nodes = LocalNodes()
    one = OneNode(nodes)
    nodes.add("a")
    assert [node.name for node in one.alive()] == ["a"]
    nodes.add("b")
    with pytest.raises(SettingsError, match=r"one node with SQLite, received 2 \(a, b\): set storage.database_url"):
        one.alive()


def test_a_node_that_joins_later_is_given_no_worker_and_cameras_go_on(stage, rtsp_server):
    made = stage("a", one_node=True)
    made.fleet.add(CameraSettings(name="door", url=rtsp_server.url("small")))
    assert made.live("door") == ["a"]
    made.nodes.add("b")
    until(lambda: any("expected one node with SQLite" in problem for problem in made.head.problems))
    assert set(made.nodes.links) == {"a"}
    count = len(made.watcher.results)
    until(lambda: len(made.watcher.results) > count)
    made.nodes.nodes = made.nodes.nodes[:1]
    until(lambda: not made.head.problems)
    assert made.state("door") == "live"
