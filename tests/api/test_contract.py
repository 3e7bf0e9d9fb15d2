"""A real server follows its own /openapi.json for any input, and generated clients work with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from scripts import api_types, npm
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.contract, pytest.mark.server, pytest.mark.slow]
BIN = Path(sys.executable).parent
TIME_S = 420
TOKEN = "correct-horse-battery"
NOT_ASKED = "streams|/progress|/whip/|/whep/"
"""Event streams do not end; SDP offers have their own fuzz tests in tests/webrtc."""

PASSED_OVER = "positive_data_acceptance"
"""Addresses, cursors and offers are checked beyond JSON Schema: valid ones by the schema may still be refused."""

BINARY = (
    "application/sdp",
    "application/trickle-ice-sdpfrag",
    "image/jpeg",
    "video/mp4",
    "video/x-matroska",
    "multipart/byteranges",
)
OVERRIDES = dict.fromkeys(BINARY, "application/octet-stream") | {"application/problem+json": "application/json"}


def _run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIME_S, check=False)


def test_schemathesis_finds_nothing(start_server, tmp_path):
    server = start_server(TOKEN=TOKEN)  # otherwise the first added user would lock out all other requests
    done = _run(
        str(BIN / "schemathesis"), "run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {TOKEN}",
        "--exclude-path-regex", NOT_ASKED, "--exclude-checks", PASSED_OVER,
        "--phases", "coverage,fuzzing", "--max-examples", "8", "--seed", "1", "--request-timeout", "30",
        folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    assert server.get("/healthz") == {"status": "alive"}
    assert "Traceback" not in "".join(server.log)


def test_a_generated_python_client_works(start_server, tmp_path):
    server = start_server()
    document = tmp_path / "openapi.json"
    document.write_bytes(httpx.get(f"{server.url}/openapi.json", timeout=PATIENCE_S).content)
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"content_type_overrides": OVERRIDES}), encoding="utf-8")
    made = _run(
        str(BIN / "openapi-python-client"), "generate", "--path", str(document), "--config", str(config),
        "--meta", "none", "--output-path", str(tmp_path / "generated"), folder=tmp_path,
    )  # fmt: skip
    output = made.stdout + made.stderr
    assert made.returncode == 0, output
    assert "Endpoint will not be generated" not in output, output
    code = (
        "from generated import Client; from generated.api.status import status_api_status_get as status; "
        f"print(status.sync(client=Client({server.url!r})).version)"
    )
    used = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert used.stdout.strip() == server.get("/api/status")["version"], used.stderr


def test_the_pages_types_are_those_of_the_document(start_server, tmp_path):
    api_types.generate(httpx.get(f"{start_server().url}/openapi.json", timeout=PATIENCE_S).json(), tmp_path)
    for file in (api_types.SCHEMAS, api_types.TYPES):
        made, kept = ((folder / file).read_text(encoding="utf-8") for folder in (tmp_path, api_types.FOLDER))
        assert made == kept, f"{file} is not of this server: run make api-types"


def test_openapi_typescript_takes_the_whole_document(start_server, tmp_path):
    document, types = tmp_path / "openapi.json", tmp_path / "api.d.ts"
    document.write_bytes(httpx.get(f"{start_server().url}/openapi.json", timeout=PATIENCE_S).content)
    api_types.write_types(document, types)
    described = set(json.loads(document.read_bytes())["paths"])
    written = types.read_text(encoding="utf-8")
    assert {path for path in described if f'"{path}": {{' not in written} == set()
    assert (
        npm.main(["exec", "--", "tsc", "--ignoreConfig", "--noEmit", "--strict", "--skipLibCheck", "false", str(types)])
        == 0
    )
