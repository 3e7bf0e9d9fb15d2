"""Cameras on workers: each camera has one worker, and another one after a loss, but never two at once."""

import threading
import time

import pytest

from stream_detect.cluster.messages import ModelOrder
from stream_detect.cluster.worker import orders
from stream_detect.errors import CapacityError, StorageError
from stream_detect.models.bundle import read_card, write_card
from stream_detect.models.registry import SHIPPED, Registry
from stream_detect.settings import CameraSettings
from stream_detect.storage.records import Event
from stream_detect.types import CameraState
from tests.cluster.conftest import LEASE_S
from tests.jobs.scripted_reviewer import write_clip
from tests.network.coturn import USER, running
from tests.patience import until
from tests.scenes import JUDGE


def camera(name, url, **more):
    return CameraSettings(name=name, url=url, **more)


class NeverTwo:
    """Observes all workers continuously, whatever the server knows."""

    def __init__(self, nodes, name):
        self._nodes, self._name = nodes, name
        self._ending = threading.Event()
        self.most = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._ending.wait(0.005):
            self.most = max(self.most, sum(link.watches(self._name) for link in list(self._nodes.links.values())))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()


def test_cameras_are_spread_watched_and_stopped(stage, rtsp_server):
    made, url = stage("a", "b"), rtsp_server.url("small")
    names = ["c0", "c1", "c2", "c3"]
    for name in names:
        made.fleet.add(camera(name, url))
    assert sorted(made.live(*names)) == ["a", "a", "b", "b"]
    until(lambda: {name for name, _, _ in made.watcher.results} == set(names))
    status = made.fleet.camera("c0").status()
    assert (status.wh, status.codec) == ((320, 240), "h264") if status.wh else True
    until(lambda: made.fleet.camera("c0").status().counts.analysed > 3)
    assert sorted(made.leases.held()) == names
    made.fleet.remove("c0")
    assert made.fleet.names() == names[1:]
    assert not any(link.watches("c0") for link in made.nodes.links.values())
    assert made.state("c1") == "live"


def test_a_camera_that_is_disabled_in_the_settings_is_watched_once_it_is_started(stage, rtsp_server):
    made = stage("a")
    door = made.fleet.add(camera("door", rtsp_server.url("small"), enabled=False))
    assert made.state("door") is CameraState.STOPPED
    door.start()
    made.live("door")
    assert not door.settings.enabled


def test_a_worker_that_is_cut_off_stops_by_itself_before_another_one_begins(stage, rtsp_server):
    made = stage("a", "b")
    made.fleet.add(camera("door", rtsp_server.url("small")))
    (node,) = made.live("door")
    number = made.leases.held()["door"].number
    incarnation = made.fleet.camera("door").placement.incarnation
    with NeverTwo(made.nodes, "door") as looking:
        made.nodes.links[node].cut.set()
        until(lambda: made.state("door") is CameraState.LOST_NODE)
        until(lambda: made.state("door") == "live" and made.node_of("door") not in {"", node}, describe=made.summary)
        gone_s = time.monotonic() - incarnation.heard_s
        made.nodes.links[node].cut.clear()  # it returns, and does not get the camera back
        until(lambda: made.head.statuses()[0].state == made.head.statuses()[1].state == "ready")
        until(lambda: len(made.watcher.results) > 10)
    assert looking.most == 1
    assert gone_s >= LEASE_S  # the time for which the lease was granted
    assert made.leases.held()["door"].number == number + 1
    move = made.head.moves[0]
    assert (move.camera, move.origin, move.target) == ("door", node, made.node_of("door"))
    assert not made.nodes.links[node].watches("door")


def test_a_short_silence_moves_nothing(stage, rtsp_server):
    made = stage("a", "b", lease_s=6)
    made.fleet.add(camera("door", rtsp_server.url("small")))
    (node,) = made.live("door")
    made.nodes.links[node].cut.set()
    until(lambda: made.state("door") is CameraState.LOST_NODE)
    made.nodes.links[node].cut.clear()
    assert made.live("door") == [node]
    assert made.head.moves == ()


def test_a_restarted_worker_has_no_cameras(stage, rtsp_server):
    made = stage("a")
    made.fleet.add(camera("door", rtsp_server.url("small")))
    made.live("door")
    with NeverTwo(made.nodes, "door") as looking:
        made.nodes.links["a"].start_anew()
        until(lambda: made.state("door") is CameraState.LOST_NODE)
        assert made.live("door") == ["a"]
    assert looking.most <= 1
    counts = made.fleet.camera("door").status().counts
    assert counts.pictures >= 0


def test_a_drained_node_hands_its_cameras_over_except_pinned_ones(stage, rtsp_server):
    made, url = stage("a", "b"), rtsp_server.url("small")
    made.fleet.add(camera("free", url))
    made.fleet.add(camera("pinned", url, node="a"))
    made.live("free", "pinned")
    assert made.node_of("pinned") == "a"
    node = made.node_of("free")
    if node != "a":  # both have to start on the node that is drained
        made.leases.drain("b", drained=True)
        until(lambda: made.state("free") == "live" and made.node_of("free") == "a")
        made.leases.drain("b", drained=False)
        until(lambda: "b" not in made.head._leadership.drained)
    made.leases.drain("a", drained=True)
    until(lambda: made.state("free") == "live" and made.node_of("free") == "b", describe=made.summary)
    assert made.node_of("pinned") == "a"
    assert made.state("pinned") == "live"
    assert made.head.moves[0].why == "the node a is drained"
    assert {status.name: status.state for status in made.head.statuses()} == {"a": "drained", "b": "ready"}


def test_a_camera_that_is_pinned_to_a_node_that_is_not_there_waits_and_says_so(stage, rtsp_server):
    made = stage("a")
    made.fleet.add(camera("door", rtsp_server.url("small"), node="elsewhere"))
    until(lambda: any("the node elsewhere is not there" in problem for problem in made.head.problems))
    assert made.state("door") == "connecting"
    with pytest.raises(CapacityError, match="no worker has the camera door"):
        made.head.link_of("door")
    made.nodes.add("elsewhere")
    assert made.live("door") == ["elsewhere"]


def test_while_the_database_is_away_cameras_go_on(stage, rtsp_server, monkeypatch):
    made = stage("a", "b")
    made.fleet.add(camera("door", rtsp_server.url("small")))
    made.live("door")

    def away(*_arguments, **_more):
        raise StorageError("the database is away")

    with monkeypatch.context() as patched:
        for name in ("keep_leading", "grant", "drained"):
            patched.setattr(made.leases, name, away)
        until(lambda: "the database is away" in made.head.problems)
        before = len(made.watcher.results)
        until(lambda: len(made.watcher.results) > before + 5 * LEASE_S * 2)  # longer than leases last
        assert made.state("door") == "live"
    until(lambda: made.head.problems == ())
    assert made.head.moves == ()


def test_a_worker_changes_to_a_model_with_the_same_weights_once_its_node_has_it(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(orders, "USE_AGAIN_S", 0.05)
    made = stage("a")
    hosting, before = made.nodes.links["a"].worker._hosting, made.model
    shipped, home = SHIPPED / before.name, tmp_path / "bundles" / "strict"
    card = read_card(shipped)
    strict = card.thresholds.model_copy(update={"fake_enter": 0.98})
    card = card.model_copy(update={"name": "strict", "thresholds": strict})
    monkeypatch.setattr(hosting, "_registry", Registry([home.parent, SHIPPED]))
    missing = "received 'strict'; known: "
    made.model = ModelOrder("strict", card.contract_sha256, card.hysteresis())
    until(lambda: any(missing in problem for problem in made.head.problems))
    made.model = before
    until(lambda: made.head.problems == ())
    made.model = ModelOrder("strict", card.contract_sha256, card.hysteresis())
    until(lambda: any(missing in problem for problem in made.head.problems))
    home.mkdir(parents=True)
    for file in card.sha256:
        (home / file).symlink_to(shipped / file)
    write_card(home, card)
    until(lambda: made.head.problems == ())
    assert hosting._engine.classifier_factory().thresholds.fake_enter == 0.98


def test_problems_of_ice_servers_are_reported_with_the_node(stage):
    with running() as coturn:
        wrong = {"urls": [coturn.url()], "username": USER, "credential": "hunter2-hunter2"}
        made = stage("a", "b", webrtc={"ice_servers": [wrong, {"urls": ["stun:absent.invalid"]}]})
        problems = until(lambda: found if len(found := made.head.ice_problems) == 4 else None)
    for node in ("a", "b"):
        refused, absent = (one for one in problems if one.endswith(f", from the node {node}"))
        assert refused.startswith(f"{coturn.url()} refuses username and credential (401")
        assert absent.startswith("stun:absent.invalid cannot be ")
    assert "hunter2" not in "".join(problems)
    assert made.head.problems == ()  # the nodes watch cameras nevertheless


def test_a_server_that_was_replaced_grants_and_renews_nothing(stage, rtsp_server):
    made = stage("a")
    made.fleet.add(camera("door", rtsp_server.url("small")))
    made.live("door")
    made.head._leadership._holder = "another"
    made.leases.lead(made.leases.leader().holder, 60)  # the same name, as after a restart: the number increases
    until(lambda: any("it was replaced" in problem for problem in made.head.problems))
    until(lambda: not made.nodes.links["a"].watches("door"))


def test_a_file_that_ends_is_stopped(stage, tmp_path):
    clip = write_clip(tmp_path / "clip.mp4")
    made = stage("a")
    made.fleet.apply([camera("clip", f"file:{clip}")])
    until(lambda: [change.state.value for change in made.watcher.changes][-1] == "stopped", describe=made.summary)
    assert made.watcher.changes[-1].reason == "the file ended"
    until(lambda: not made.nodes.links["a"].worker._hosting.orders.hosted)


def test_evidence_is_kept_where_the_picture_was_judged(stage, rtsp_server, tmp_path):
    made = stage("a")
    made.fleet.add(camera("door", rtsp_server.url("face"), evidence=True))
    made.live("door")
    _, result, at_s = until(lambda: next((one for one in made.watcher.results[-1:] if one[1].tracks), None))
    track = result.tracks[0].track_id
    event = Event("0" * 31 + "1", "door", "fake", at_s, None, "a test", track=track, judge=JUDGE)
    assert made.head.keep(event, result)
    until(lambda: made.kept and made.kept[-1][1].clip, describe=lambda: made.kept)
    event_id, evidence = made.kept[-1]
    assert event_id == event.id
    assert all((tmp_path / "evidence" / name).is_file() for name in (evidence.picture, evidence.face, evidence.clip))
    (link,) = made.head.a_link_of_each_node()
    assert link.call("evidence_file", evidence.picture, timeout_s=10)[:2] == b"\xff\xd8"


def test_a_removed_camera_leaves_nothing(stage, rtsp_server):
    made = stage("a")
    made.fleet.add(camera("door", rtsp_server.url("small")))
    made.live("door")
    made.fleet.remove("door")
    until(lambda: not made.head._active and not made.head._not_before)
