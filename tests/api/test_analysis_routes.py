"""Analyses of uploads over HTTP, with scripted models: forms, pages, progress, files, refusals."""

import csv
import io
import json
import threading
import time
from dataclasses import replace
from functools import partial

import av
import pytest
from PIL import Image

from stream_detect.storage.records import Analysis, Upload
from tests.api.analysing import BOUNDARY, END, REVIEW, TYPE, ended, kept, part, upload
from tests.authority import Authority, action, signed
from tests.jobs.scripted_reviewer import MODELS
from tests.patience import PATIENCE_S, until


@pytest.fixture
def inside(make):
    return make({"review": REVIEW, "window": {"min_scores": 3}})


def test_a_form_may_have_its_fields_after_its_files(inside, clip):
    body = part("file", clip, "a.mp4") + part("model", b"other") + part("model", b"scripted") + part("rate_hz", b"4")
    body += part("file", clip + b"\0", "b.mp4") + END
    answer = inside.client.post("/api/analyses", content=body, headers=TYPE)
    assert answer.status_code == 202
    first, second = answer.json()["items"]
    assert (first["file"]["name"], second["file"]["name"]) == ("a.mp4", "b.mp4")
    assert first["models"] == [{"name": "other", "sha256": "b" * 64}, {"name": "scripted", "sha256": "a" * 64}]
    assert (first["rate_hz"], first["verdict"], first["same_as"], first["eta_s"]) == (4.0, None, None, None)
    assert ended(inside, second)["verdict"] == "fake"
    results = inside.client.get(f"/api/analyses/{first['id']}/results").json()
    assert [review["model"]["name"] for review in results["models"]] == ["other", "scripted"]
    assert results["id"] == first["id"]


def test_a_body_in_the_smallest_chunks_is_the_same_body(inside, clip):
    body = part("rate_hz", b"5") + part("file", clip[:3000], "a.mp4") + END
    answer = inside.client.post("/api/analyses", content=(bytes([byte]) for byte in body), headers=TYPE)
    assert answer.status_code == 202
    assert answer.json()["items"][0]["file"]["bytes"] == 3000


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (part("model", b"scripted") + END, 422, "at least one file"),
        (part("file", b"", "") + END, 422, "at least one file"),  # sent by browsers for an empty field
        (part("file", b"x", "a") + part("model", b"absent") + END, 422, "expected names of"),
        (part("file", b"x", "a") + part("rate_hz", b"fast") + END, 422, "expected a number as rate_hz, received fast"),
        (part("file", b"x", "a") + part("rate_hz", b"nan") + END, 422, "rate_hz above 0 and up to 60"),
        (part("file", b"x", "a") + part("rate_hz", b"1e9") + END, 422, "rate_hz above 0 and up to 60"),
        (part("file", b"x", "a") + part("rate_hz", b"0.01") + END, 422, "no verdict could ever be reached"),
        (part("image", b"x", "a") + END, 422, "expected files in parts named file, received one named image"),
        (part("file", b"x", "a") + part("colour", b"red") + END, 422, "expected parts named file, model or rate_hz"),
        (part("file", b"x" * 300_001, "a") + END, 413, "0.3 MB (review.max_upload_bytes), a is longer"),
        (part("model", b"x" * 2000) + END, 413, "expected model of at most 1024 bytes"),
        (b"".join(part("file", b"x", "a") for _ in range(21)) + END, 413, "at most 20 files (review.max_files)"),
        (b"".join(part("model", b"x") for _ in range(60)) + END, 400, "at most 32 fields"),
        (part("file", b"x" * 1000, "a"), 400, "ends before its closing boundary"),
        (part("file", b"x" * 1000, "a")[:-500], 400, "ends before its closing boundary"),
        (b"", 400, "ends before its closing boundary"),
        (b"nonsense", 400, "received something else"),
        (f"--{BOUNDARY}\r\nX: {'y' * 100_000}".encode(), 400, "header size"),
    ],
)
def test_a_form_that_is_not_usable_is_refused_and_leaves_nothing(inside, body, status, message):
    answer = inside.client.post("/api/analyses", content=body, headers=TYPE)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert message in answer.json()["detail"]
    assert kept(inside) == []
    assert inside.client.get("/api/analyses").json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "video/mp4"}, 415),
        ({}, 415),
        ({"Content-Type": "multipart/form-data"}, 400),
        ({"Content-Type": f"multipart/form-data; boundary={'b' * 500}"}, 400),
        ({**TYPE, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**TYPE, "Origin": "https://elsewhere.example"}, 403),
    ],
)
def test_other_content_and_other_sites_are_refused(inside, headers, status):
    answer = inside.client.post("/api/analyses", content=part("file", b"x", "a") + END, headers=headers)
    assert answer.status_code == status
    assert kept(inside) == []


def test_a_length_that_is_stated_to_be_too_long_is_refused_unread(inside):
    answer = inside.client.post("/api/analyses", content=b"", headers={**TYPE, "Content-Length": str(10**9)})
    assert answer.status_code == 413
    assert "review.max_files" in answer.json()["detail"]


def test_the_token_is_asked_for(make, clip):
    inside = make({"review": REVIEW, "server": {"token": "t" * 20}})
    body = part("file", clip, "a") + END
    assert inside.client.post("/api/analyses", content=body, headers=TYPE).status_code == 401
    assert inside.client.get("/api/analyses").status_code == 401
    with_token = {**TYPE, "Authorization": f"Bearer {'t' * 20}"}
    assert inside.client.post("/api/analyses", content=body, headers=with_token).status_code == 202


def test_a_name_is_shown_clean_and_never_used(inside, clip):
    done = ended(inside, upload(inside, clip, "../../../tmp/\u202eevil<script>.mp4"))
    assert done["file"]["name"] == "evil<script>.mp4"
    assert all("evil" not in str(path) for path in kept(inside))
    answer = inside.client.get(f"/api/analyses/{done['id']}/media")
    assert answer.headers["content-disposition"] == "inline; filename*=utf-8''evil%3Cscript%3E.mp4"


def test_too_many_that_wait_are_refused_with_the_time_to_come_again(make, clip):
    inside = make({"review": {**REVIEW, "max_waiting": 1}})
    inside.reviewer.may_go_on.clear()
    running = upload(inside, clip)
    assert inside.reviewer.begun.wait(PATIENCE_S)
    upload(inside, clip + b"\0")
    refused = inside.client.post("/api/analyses", files={"file": ("c.mp4", clip)})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
    assert inside.client.post(f"/api/analyses/{running['id']}/cancel").json()["state"] == "cancelled"
    assert inside.client.post(f"/api/analyses/{running['id']}/cancel").status_code == 409


def test_a_full_disk_is_507_and_nothing_is_left(make, clip):
    inside = make({"review": {"min_free_bytes": 1 << 60}})
    refused = inside.client.post("/api/analyses", files={"file": ("c.mp4", clip)})
    assert refused.status_code == 507
    assert "review.min_free_bytes" in refused.json()["detail"]
    assert kept(inside) == []


def test_progress_is_followed_to_the_end(inside, clip):
    inside.reviewer.may_go_on.clear()
    analysis = upload(inside, clip)
    threading.Timer(0.6, inside.reviewer.may_go_on.set).start()
    text = inside.client.get(f"/api/analyses/{analysis['id']}/progress").text  # ends by itself
    assert text.count("event: progress") == text.count("event: ")
    news = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    assert news[0]["state"] in {"queued", "running"}
    assert news[-1]["state"] == "done"
    assert {0.5, 1.0} <= {one["done_share"] for one in news}
    again = inside.client.get(
        f"/api/analyses/{analysis['id']}/progress"
    ).text  # of an ended analysis: one event, then the end
    assert again.count("event: progress") == 1


def test_listeners_are_notified_of_a_deletion(inside, clip):
    inside.reviewer.may_go_on.clear()
    analysis = upload(inside, clip)
    threading.Timer(0.3, partial(inside.analyses.jobs.delete, analysis["id"])).start()
    text = inside.client.get(f"/api/analyses/{analysis['id']}/progress").text
    assert '"state":"cancelled"' in text
    assert inside.client.get(f"/api/analyses/{analysis['id']}").status_code == 404


def test_results_pictures_and_reports_are_read_and_deleted(inside, clip):
    inside.reviewer.may_go_on.clear()
    analysis = upload(inside, clip, model=["scripted", "other"])
    path = f"/api/analyses/{analysis['id']}"
    for early in ("results", "flagged/1.jpg", "report.html", "report.json", "report.csv", "annotated.mp4", "annotated"):
        assert inside.client.get(f"{path}/{early}").status_code == 409, early
    assert inside.client.post(f"{path}/annotated").status_code == 409
    inside.reviewer.may_go_on.set()
    ended(inside, analysis)
    flagged = inside.client.get(f"{path}/results").json()["models"][0]["flagged"]
    picture = inside.client.get(f"{path}/flagged/{flagged[0]['n']}.jpg", params={"model": "scripted"})
    assert Image.open(io.BytesIO(picture.content)).size == (160, 120)
    assert inside.client.get(f"{path}/flagged/1.jpg", params={"model": "other"}).status_code == 404
    assert inside.client.get(f"{path}/flagged/1.jpg", params={"model": "absent"}).status_code == 404
    assert inside.client.get(f"{path}/flagged/1-map.jpg").status_code == 404  # scripted models have no map
    assert inside.client.get(f"{path}/flagged/0.jpg").status_code == 422
    html = inside.client.get(f"{path}/report.html")
    assert html.headers["content-security-policy"].startswith("default-src 'none'")
    assert 'filename="clip-report.html"' in html.headers["content-disposition"]
    assert analysis["file"]["sha256"] in html.text
    assert "data:image/jpeg;base64," in html.text
    assert inside.client.get(f"{path}/report.json").json()["file"]["name"] == "clip.mp4"
    assert inside.client.get(f"{path}/report.csv").text.startswith("file,file_sha256,model,")
    assert inside.client.delete(path).status_code == 204
    assert kept(inside) == []
    for gone in ("", "/results", "/media", "/flagged/1.jpg", "/report.html", "/progress", "/annotated"):
        assert inside.client.get(path + gone).status_code == 404, gone
    assert inside.client.delete(path).status_code == 404


def test_content_credentials_are_independent_of_the_verdict_and_read_again(inside, clip):
    given = signed(clip, Authority().holder("Camera 7"), [action(source="trainedAlgorithmicMedia")], "video/mp4")
    done = ended(inside, upload(inside, given))
    path = f"/api/analyses/{done['id']}"
    credentials = done["credentials"]
    assert (credentials["state"], credentials["signer"], credentials["generated"]) == (
        "untrusted",
        "Camera 7 (Example Ltd)",
        True,
    )
    assert inside.client.get(f"{path}/results").json()["credentials"] == credentials
    html = inside.client.get(f"{path}/report.html").text
    assert "Content Credentials of an untrusted signer" in html
    assert "the file declares itself generated" in html
    assert "c2pa.created" in html
    row = next(csv.DictReader(io.StringIO(inside.client.get(f"{path}/report.csv").text)))
    assert (row["credentials"], row["signer"], row["declared_generated"]) == (
        "untrusted", "Camera 7 (Example Ltd)", "True",
    )  # fmt: skip
    again = ended(inside, upload(inside, given))
    assert (again["same_as"], again["credentials"]) == (None, credentials)
    plain = ended(inside, upload(inside, clip))
    assert plain["credentials"]["state"] == "none"
    assert "no Content Credentials" in inside.client.get(f"/api/analyses/{plain['id']}/report.html").text
    assert ended(inside, upload(inside, clip))["same_as"] == plain["id"]
    assert plain["verdict"] == done["verdict"]


def test_the_file_is_given_back_with_ranges_and_the_type_of_its_content(inside, clip):
    done = ended(inside, upload(inside, clip, "song.mp3"))
    whole = inside.client.get(f"/api/analyses/{done['id']}/media")
    assert (whole.content, whole.headers["content-type"]) == (clip, "video/mp4")
    assert (whole.headers["accept-ranges"], whole.headers["cache-control"]) == ("bytes", "no-store")
    some = inside.client.get(f"/api/analyses/{done['id']}/media", headers={"Range": "bytes=4-7"})
    assert (some.status_code, some.content) == (206, b"ftyp")
    beyond = inside.client.get(f"/api/analyses/{done['id']}/media", headers={"Range": "bytes=99999999-"})
    assert beyond.status_code == 416
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 90, 90)).save(picture, "TIFF")
    unshown = ended(inside, upload(inside, picture.getvalue(), "p.html"))
    media = inside.client.get(f"/api/analyses/{unshown['id']}/media")
    assert media.headers["content-type"] == "application/octet-stream"
    assert media.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("kind", ["video", "image"])
def test_the_annotated_file_is_made_on_demand(inside, clip, kind):
    if kind == "image":
        picture = io.BytesIO()
        Image.effect_noise((160, 120), 60).convert("RGB").save(picture, "PNG")
        clip = picture.getvalue()
    done = ended(inside, upload(inside, clip))
    path = f"/api/analyses/{done['id']}/annotated"
    suffix, other = ("jpg", "mp4") if kind == "image" else ("mp4", "jpg")
    assert inside.client.get(path).json() == {"state": "none", "done_share": 0.0, "problem": ""}
    assert inside.client.get(f"{path}.{suffix}").status_code == 409
    answer = inside.client.post(path)
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    until(lambda: inside.client.get(path).json()["state"] in {"done", "failed"})
    assert inside.client.get(path).json() == {"state": "done", "done_share": 1.0, "problem": ""}
    made = inside.client.get(f"{path}.{suffix}")
    if kind == "image":
        assert Image.open(io.BytesIO(made.content)).size == (160, 120)
    else:
        with av.open(io.BytesIO(made.content)) as container:
            assert len(list(container.decode(video=0))) == 20
    assert inside.client.get(f"{path}.{other}").status_code == 404


def test_a_thousand_analyses_come_in_pages(inside):
    upload_of = Upload("clip.mp4", 1, "0" * 64)
    first = Analysis("0" * 32, "done", upload_of, "", MODELS, 5.0, 1.0, ended_s=time.time())
    inside.analyses.analyses.put(
        [
            replace(first, id=f"{n:032x}", created_s=float(n), upload=replace(upload_of, name=f"clip {n}.mp4"))
            for n in range(1000)
        ]
    )
    seen, cursor = [], None
    while True:
        asked = {"limit": 300} | ({"cursor": cursor} if cursor else {})
        page = inside.client.get("/api/analyses", params=asked).json()
        seen += [one["file"]["name"] for one in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert seen == [f"clip {n}.mp4" for n in range(999, -1, -1)]
    found = inside.client.get("/api/analyses", params={"search": "CLIP 99", "state": "done"}).json()
    assert len(found["items"]) == 11
    for refused in ({"limit": 0}, {"state": "lost"}, {"colour": "red"}):
        assert inside.client.get("/api/analyses", params=refused).status_code == 422
    assert inside.client.get("/api/analyses", params={"cursor": "nonsense"}).status_code == 400
