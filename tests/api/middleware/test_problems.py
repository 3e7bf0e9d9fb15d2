"""Every error response is application/problem+json."""

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from stream_detect import errors
from stream_detect.api.middleware import problems


def client_for(error: Exception) -> TestClient:
    application = FastAPI()
    problems.install(application)

    @application.get("/fails/{number}")
    async def fails(number: int) -> None:
        raise error

    return TestClient(application, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.OfferError("expected SDP"), 400),
        (errors.NoVideoError("expected video"), 422),
        (errors.CodecError("expected VP8"), 422),
        (errors.BodyTooLargeError("expected 64 KiB"), 413),
        (errors.ContentTypeError("expected application/sdp"), 415),
        (errors.NotFoundError("no session of that id"), 404),
        (errors.AnalysisError("no detector"), 503),
        (errors.BundleTamperedError("sha256"), 500),
        (errors.StreamDetectError("something"), 500),
    ],
)
def test_our_errors_keep_their_words(error, status):
    response = client_for(error).get("/fails/1")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["detail"] == str(error)
    assert set(body) == {"type", "title", "status", "detail"}


LATER = (errors.CapacityError, errors.TooManyGuessesError)
"""Errors with Retry-After."""


def test_every_error_of_the_package_is_reported():
    def all_kinds(parent):
        return [parent, *(kind for child in parent.__subclasses__() for kind in all_kinds(child))]

    # Commands and tests define their own errors, which no route raises.
    for kind in filter(lambda kind: kind.__module__ == errors.__name__, all_kinds(errors.StreamDetectError)):
        error = kind("why", retry_after_s=3) if kind in LATER else kind("why")
        assert client_for(error).get("/fails/1").json()["detail"] == "why"


def test_a_full_server_says_when_to_come_again():
    response = client_for(errors.CapacityError("4 of 4 sessions", retry_after_s=7)).get("/fails/1")
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")


def test_what_utf_8_cannot_encode_is_escaped():
    response = client_for(errors.NotFoundError("expected other, received '\ud800'")).get("/fails/1")
    assert (response.status_code, response.json()["detail"]) == (404, r"expected other, received '\ud800'")


def test_unexpected_errors_reveal_no_internals(caplog):
    response = client_for(RuntimeError("/root/secret")).get("/fails/1")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "/root/secret" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/absent", 404, "nothing is at /absent"),
        ("POST", "/fails/1", 405, "expected GET at /fails/1, received POST"),
        ("GET", "/fails/x", 422, "path.number: Input should be a valid integer"),
    ],
)
def test_the_frameworks_own_errors_are_problems_too(method, path, status, detail):
    response = client_for(errors.StreamDetectError("x")).request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert detail in response.json()["detail"]
