"""Only the files in the page's folder are served."""

import gzip

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from stream_detect.api import page

SCRIPT = "console.log('page');" * 100


@pytest.fixture
def folder(tmp_path):
    built = tmp_path / "page"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html><title>page</title>")
    (built / "assets" / "index-abc.js").write_text(SCRIPT)
    (built / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "secret.txt").write_text("secret")
    return built


def client(folder) -> TestClient:
    application = FastAPI()
    application.include_router(page.router(page.read_page(folder)))
    return TestClient(application)


def test_the_root_is_the_page_and_is_asked_for_again(folder):
    response = client(folder).get("/")
    assert "<title>page</title>" in response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"


def test_hashed_files_are_cached_forever_and_sent_compressed(folder):
    response = client(folder).get("/assets/index-abc.js")
    assert response.text == SCRIPT
    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) == len(gzip.compress(SCRIPT.encode()))
    assert "immutable" in response.headers["cache-control"]
    plain = client(folder).get("/assets/index-abc.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == SCRIPT


def test_an_unchanged_file_is_not_sent_twice(folder):
    first = client(folder).get("/")
    again = client(folder).get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/../../secret.txt", "/secret.txt"])
def test_nothing_outside_the_folder_can_be_asked_for(folder, path):
    assert client(folder).get(path).status_code == 404


def test_a_page_that_is_not_built_says_how_to_build_it(tmp_path):
    response = client(tmp_path).get("/")
    assert response.status_code == 503
    assert "make web" in response.text
