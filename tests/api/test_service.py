"""The routes together, with a scripted analysis: bodies (docs/protocol.md), access and documents."""

import re
from pathlib import Path

import pytest

from stream_detect import __version__

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"
TOKEN = "correct-horse-battery"


@pytest.fixture
def client(make):
    return make().client


def test_the_status_is_what_the_protocol_says(make):
    client = make({"webrtc": {"ice_servers": [{"urls": ["turn:a"], "username": "u", "credential": "c"}]}}).client
    status = client.get("/api/status").json()
    # there is no user "a": refused once it has been looked up
    assert all("turn:a cannot be resolved" in problem for problem in status.pop("problems"))
    assert status == {
        "version": __version__,
        "model": {
            "name": "scripted",
            "title": "Scripted",
            "sha256": "0" * 64,
            "terms": "none",
            "limits": ["It judges nothing."],
            "thresholds": {"fake_enter": 0.8, "fake_leave": 0.6, "real_enter": 0.2, "real_leave": 0.4},
        },
        "window_s": 10.0,
        "needed": 12,
        "stale_s": 1.0,
        "sessions": 0,
        "max_sessions": 4,
        "ice_servers": [{"urls": ["turn:a"], "username": "u", "credential": "c"}],
        "review_urls": False,
    }


def test_without_trouble_there_are_no_problems(client):
    assert client.get("/api/status").json()["problems"] == []


def test_the_status_says_whether_addresses_are_analysed(make):
    assert make({"review": {"urls": True}}).client.get("/api/status").json()["review_urls"] is True


def test_the_models_are_the_cards_and_which_one_judges(client):
    assert client.get("/api/models").json() == {
        "judging": "scripted",
        "models": [{"name": "scripted"}, {"name": "other"}],
    }


def test_another_model_judges_from_now_on(make):
    inside = make()
    client, engine = inside.client, inside.engine
    answer = client.put("/api/models/judging", json={"name": "other"})
    assert (answer.status_code, answer.json()["name"]) == (200, "other")
    assert client.get("/api/models").json()["judging"] == "other"
    assert client.get("/api/status").json()["model"]["sha256"] == "1" * 64
    assert engine.classifier_factory().thresholds.fake_enter == 0.9


def test_a_model_that_was_calibrated_anew_is_loaded_though_its_name_and_weights_are_those_in_use(make):
    inside = make()
    assert inside.client.put("/api/models/judging", json={"name": "scripted"}).status_code == 200
    loaded = inside.engine.classifier_factory
    assert loaded().thresholds.fake_enter == 0.7
    assert inside.client.put("/api/models/judging", json={"name": "scripted"}).status_code == 200
    assert inside.engine.classifier_factory is loaded


@pytest.mark.parametrize(("body", "status"), [({"name": "absent"}, 404), ({}, 422), ({"name": "x" * 65}, 422)])
def test_a_model_that_cannot_judge_changes_nothing(client, body, status):
    answer = client.put("/api/models/judging", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert client.get("/api/models").json()["judging"] == "scripted"


def test_changing_the_model_takes_the_token(make):
    client = make({"server": {"token": TOKEN}}).client
    assert client.put("/api/models/judging", json={"name": "other"}).status_code == 401
    authorised = {"Authorization": f"Bearer {TOKEN}"}
    assert client.put("/api/models/judging", json={"name": "other"}, headers=authorised).status_code == 200


def test_it_is_ready_until_no_stream_can_be_judged(make):
    inside = make()
    client, engine = inside.client, inside.engine
    assert client.get("/healthz").status_code == 200
    assert (client.get("/readyz").status_code, client.get("/readyz").json()) == (200, {"ready": True})
    engine.health.record("stream", "analysis unavailable: the detector is gone")
    response = client.get("/readyz")
    assert response.headers["retry-after"] == "5"
    assert response.status_code == 503
    assert response.json() == {"ready": False, "reasons": ["analysis unavailable: the detector is gone"]}
    assert client.get("/healthz").status_code == 200


def test_a_malformed_offer_is_a_problem_under_the_policy(client):
    response = client.post("/webrtc/check", content="no sdp", headers={"Content-Type": "application/sdp"})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert "content-security-policy" in response.headers
    assert "expected" in response.json()["detail"]


def test_another_origin_can_open_no_session(client):
    headers = {"Content-Type": "application/sdp", "Origin": "https://evil.example"}
    assert client.post("/webrtc/check", content="v=0", headers=headers).status_code == 403


def test_with_a_token_everything_but_the_shell_and_healthz_asks_for_it(make):
    client = make({"server": {"host": "0.0.0.0", "token": TOKEN}}, base_url="http://camera.example").client
    for path in ("/", "/index.html", "/healthz"):
        assert client.get(path).status_code == 200, path
    for path in ("/api/status", "/api/models", "/readyz", "/docs", "/openapi.json", "/absent"):
        response = client.get(path)
        assert response.status_code == 401, path
        assert "content-security-policy" in response.headers
        known = 404 if path == "/absent" else 200
        assert client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == known, path
    assert client.post("/webrtc/check", content="v=0").status_code == 401
    assert client.delete("/webrtc/check/x").status_code == 401


def test_no_response_of_another_origin_can_be_read(client):
    response = client.options(
        "/api/status", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    )
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_the_routes_page_lists_every_route_and_needs_nothing_from_elsewhere(client):
    html = client.get("/docs").text
    described = client.get("/openapi.json").json()["paths"]
    for path in described:
        assert path in html
    assert "<script" not in html
    assert "style=" not in html
    assert not re.search(r"(src|href)=.https?:", html)


def test_the_protocol_document_has_exactly_the_existing_routes(client):
    """Fails if an endpoint is not documented."""
    rows = [line.partition(" | ")[0] for line in PROTOCOL.read_text().splitlines() if line.startswith("| `")]
    documented = {
        re.sub(r"{(id|session)}", "{}", route) for row in rows for route in re.findall(r"`([A-Z]+ /[^`?]*)", row)
    }
    answered = {
        f"{method.upper()} {re.sub(r'{(event_id|session_id|analysis_id)}', '{}', path)}"
        for path, operations in client.get("/openapi.json").json()["paths"].items()
        for method in operations
        if method != "options"  # told in a sentence
    }
    unlisted = {"GET /docs", "GET /openapi.json"}  # they are about the others
    assert documented - unlisted == answered
