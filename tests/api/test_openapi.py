"""/openapi.json describes the server: every status, content type and parameter."""

import itertools
import re

import pytest
from starlette.testclient import TestClient

TOKEN = "correct-horse-battery"
PUSHED = {"name": "street", "url": "whip:"}


@pytest.fixture
def client(make) -> TestClient:
    return make({"cameras": [PUSHED]}).client


def _operations(described):
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            yield method, path, operation


def _is_described(operation, answer) -> bool:
    known = operation["responses"].get(str(answer.status_code))
    kind = answer.headers.get("content-type", "").partition(";")[0]
    return known is not None and (not answer.content or kind in known.get("content", {}))


def test_every_answer_is_described(client):
    described = client.get("/openapi.json").json()
    asked = itertools.product(
        [found for found in _operations(described) if found[1] not in {"/api/streams/events", "/api/cameras/reload"}],
        ["nobody", "0" * 32, "%20", "A" * 200],
        [None, b"", b"{", b'{"name": 1}', b"[]", b"x" * 200_000],
    )
    undocumented = []
    for (method, path, operation), value, body in asked:
        target = re.sub(r"{\w+}", value, path)
        headers = {} if body is None else {"Content-Type": "application/json"}
        answer = client.request(method.upper(), target, content=body, headers=headers)
        if not _is_described(operation, answer):
            undocumented.append((method, path, answer.status_code, answer.headers.get("content-type")))
    assert undocumented == []


def test_what_the_gates_answer_is_described(make):
    client = make({"server": {"token": TOKEN}}).client
    described = client.get("/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for method, path, operation in _operations(described):
        target = re.sub(r"{\w+}", "a", path)
        for headers in ({}, {"Authorization": f"Bearer {TOKEN}", "Origin": "https://evil.example"}):
            if not headers or method in {"post", "put", "delete"}:
                answer = client.request(method.upper(), target, headers=headers)
                assert _is_described(operation, answer), (method, path, answer.status_code)


def test_every_variable_of_a_path_is_a_parameter_and_no_word_is_newer_than_the_document(client):
    described = client.get("/openapi.json").json()
    for method, path, operation in _operations(described):
        named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)", path)), (method, path)
    assert described["openapi"].startswith("3.1")
    assert "itemSchema" not in client.get("/openapi.json").text
    assert "HTTPValidationError" not in client.get("/openapi.json").text


def test_the_description_is_encoded_once(make):
    inside = make()
    shown = [inside.client.get(path).content for path in ("/openapi.json", "/docs")]
    inside.application.openapi = lambda: pytest.fail("it is described again")
    assert [inside.client.get(path).content for path in ("/openapi.json", "/docs")] == shown


def test_the_description_names_the_prefix(make):
    client = make({"server": {"path_prefix": "/detect"}}).client
    assert client.get("/detect/openapi.json").json()["servers"] == [{"url": "/detect"}]
    assert 'href="openapi.json"' in client.get("/detect/docs").text
