"""Nodes of a cluster: SQLite allows only one, and a restarted node gets its name back."""

from dataclasses import replace

import pytest

from stream_detect.cluster.nodes import NodeNames, OneNode
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


def test_a_node_that_was_started_again_has_its_name_once_the_earlier_one_is_lost() -> None:
    names = NodeNames()
    assert names.of([("11111111", "one"), ("22222222", "two")]) == ["one", "two"]
    before = [("11111111", "one"), ("33333333", "two"), ("22222222", "two")]
    assert names.of(before) == ["one", "two-333333", "two"]
    assert names.of(before[:2]) == ["one", "two"]
    assert names.of(before) == ["one", "two", "two-222222"]


def test_a_pinned_camera_moves_to_its_node_once_that_has_its_name_back(stage, rtsp_server):
    made = stage("a", "b-333333")
    made.fleet.add(CameraSettings(name="door", url=rtsp_server.url("small"), node="b"))
    until(lambda: any("the node b is not there" in problem for problem in made.head.problems))
    first, second = made.nodes.nodes
    made.nodes.nodes = [first, replace(second, name="b")]
    assert made.live("door") == ["b"]
    assert {status.name for status in made.head.statuses()} == {"a", "b"}
