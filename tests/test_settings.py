"""The settings loader: errors name the key, its place and what was expected, and never contain secrets."""

import json
import pickle
import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.cluster.worker.hosting import WorkerSettings
from stream_detect.errors import SettingsError
from stream_detect.review.models import ExaminationSettings
from stream_detect.settings import Settings, is_loopback
from stream_detect.settings.file import file_in_use, load_settings

SECRET = "correct-horse-battery"
OPERATIONS = Path(__file__).parents[1] / "docs" / "operations.md"


@pytest.fixture(autouse=True)
def _empty_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(text: str) -> Path:
    path = Path("stream-detect.yaml")
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_or_environment_the_defaults_hold():
    assert load_settings(None, {}) == Settings()


def test_the_file_of_the_working_folder_is_read():
    write("# mine\nserver:\n  port: 9000\nwindow:\n")
    assert load_settings(None, {}).server.port == 9000


def test_an_empty_file_is_fine():
    write("# server:\n#   port: 1\n")
    assert load_settings(None, {}) == Settings()


def test_the_environment_overrides_the_file():
    write("server: {port: 9000, host: 127.0.0.2}\n")
    settings = load_settings(
        None,
        {
            "STREAM_DETECT_SERVER__PORT": "9001",
            "STREAM_DETECT_VIDEO__H264": "false",
            "STREAM_DETECT_WEBRTC__ICE_SERVERS": '[{"urls": ["stun:stun.example.org"]}]',
            "PATH": "/bin",
        },
    )
    assert (settings.server.port, settings.server.host, settings.video.h264) == (9001, "127.0.0.2", False)
    assert settings.webrtc.ice_servers[0].urls == ("stun:stun.example.org",)


def test_the_file_can_be_named_by_argument_or_variable(tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text("server: {port: 9002}\n")
    assert load_settings(other, {}).server.port == 9002
    assert load_settings(None, {"STREAM_DETECT_SETTINGS": str(other)}).server.port == 9002
    with pytest.raises(SettingsError, match=r"expected a settings file at absent\.yaml"):
        load_settings(Path("absent.yaml"), {})


def test_the_file_in_use_is_the_one_that_is_read():
    assert file_in_use(None, {}) is None
    default = write("server: {port: 9000}\n")
    assert file_in_use(None, {}) == default
    assert file_in_use(None, {"STREAM_DETECT_SETTINGS": "b.yaml"}) == Path("b.yaml")
    assert file_in_use(Path("a.yaml"), {"STREAM_DETECT_SETTINGS": "b.yaml"}) == Path("a.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server:\n  prot: 1\n", r"stream-detect\.yaml, line 2: server\.prot is not a setting; did you mean port\?"),
        ("\nservers:\n  port: 1\n", r"line 2: servers is not a setting; did you mean server\?"),
        ("window:\n  zzz: 1\n", r"line 2: window\.zzz is not a setting; expected one of score_rate_hz, steady_rate_hz"),
        ("server:\n  port: 99999\n", r"line 2: server\.port: expected .*less than or equal to 65535, received 99999"),
        ("server:\n  port: many\n", r"line 2: server\.port: expected .*valid integer.*received 'many'"),
        ("model:\n  backend: torch\n", r"line 2: model\.backend: expected .*'openvino' or 'tensorflow'"),
        ("server: 5\n", r"line 1: server: expected .*dictionary"),
        ("- 1\n", r"line 1: expected sections such as `server:`"),
        ("server:\n  port: 1\n  port: 2\n", r"line 3: server\.port is set twice"),
        ("server: {port: [}\n", r"line 1: expected YAML"),
        ("cameras: &all [*all]\n", r"expected sections with values, received a list or alias without end"),
        ("cameras: " + 5000 * "[", r"expected sections with values, received a list or alias without end"),
        ("window: {stale_s: .inf}\n", r"line 1: window\.stale_s: .*finite number"),
        ("window: {stale_s: .nan}\n", r"line 1: window\.stale_s: expected"),
        ("cameras:\n  - {name: a\n  - {name: b}\n", r"line 3: expected YAML: ',' or '}'"),
        ("cameras:\n  - {name: a, url: 'whip:', title: \"a\\tb\"}\n", r"line 2: cameras\.0\.title: .* printable"),
        ("server:\n  port: !!int x\n", r"line 2: server\.port: expected a plain YAML value"),
        ("webrtc:\n  ice_servers:\n    - url: a\n", r"line 3: webrtc\.ice_servers\.0\.url.* did you mean urls\?"),
        ("\nserver:\n  host: 0.0.0.0\n", r"line 2: server: .*0\.0\.0\.0 .*set an access token \(STREAM_DETECT_TOKEN"),
        ("server:\n  tls_certificate: a.pem\n", r"line 1: server: .*together; tls_key is not set"),
        ("server: {tls_certificate: a.pem, tls_key: b.pem}\n", r"server\.tls_certificate: .*there is none at a\.pem"),
        ("model:\n  folder: nowhere\n", r"line 2: model\.folder: expected a folder, but there is none at nowhere"),
        ("video:\n  max_bitrate_bps: 60000\n", r"line 1: video: .*min_bitrate_bps <= start_bitrate_bps"),
        ("server: {host: 0.0.0.0, token: ''}\n", r"line 1: server\.token: expected .*at least 8"),
        ("webrtc: {turn_secret: ''}\n", r"line 1: webrtc\.turn_secret: .*expected a secret, received an empty one"),
        ("webhooks: [{name: a, url: 'http://a', secret: ''}]\n", r"webhooks\.0\.secret: .*received an empty one"),
    ],
)
def test_errors_in_the_file_name_key_line_and_cure(text, expected):
    write(text)
    with pytest.raises(SettingsError, match=expected):
        load_settings(None, {})


def test_the_environment_can_unset_what_may_be_null():
    assert load_settings(None, {"STREAM_DETECT_MQTT__DISCOVERY_PREFIX": "null"}).mqtt.discovery_prefix is None
    assert load_settings(None, {"STREAM_DETECT_MQTT__PREFIX": "null"}).mqtt.prefix == "null"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (
            {"STREAM_DETECT_SERVER__PORT": "x"},
            r"environment variable STREAM_DETECT_SERVER__PORT: server\.port: expected",
        ),
        ({"STREAM_DETECT_SERVER__PROT": "1"}, r"STREAM_DETECT_SERVER__PROT: server\.prot is not a setting"),
        ({"STREAM_DETECT_TOKNE": SECRET}, r"STREAM_DETECT_TOKNE: expected STREAM_DETECT_SECTION__KEY"),
        ({"STREAM_DETECT_WEBRTC__ICE_SERVERS": "["}, r"STREAM_DETECT_WEBRTC__ICE_SERVERS: expected a JSON list"),
        ({"STREAM_DETECT_WEBRTC__ICE_SERVERS": 5000 * "["}, r"WEBRTC__ICE_SERVERS: expected a JSON list"),
        ({"STREAM_DETECT_CAMERAS__0": SECRET}, r"STREAM_DETECT_CAMERAS__0: cameras is a list, which only the file can"),
        ({"STREAM_DETECT_TOKEN": "short"}, r"STREAM_DETECT_TOKEN: server\.token: .*at least 8"),
    ],
)
def test_errors_in_the_environment_name_the_variable(env, expected):
    write("cameras: []\n")
    with pytest.raises(SettingsError, match=expected) as error:
        load_settings(None, env)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        f"server:\n  tokken: {SECRET}\n",
        f"server:\n  token: [{SECRET}]\n",
        f"server:\n  token: '{SECRET} {SECRET}'\n",
        f"server: {SECRET}\n",
        f"server:\n  token: *{SECRET}\n",
        f"server:\n  token: !{SECRET}\n",
        f"server:\n  token: '{SECRET}\n",
        f"server:\n  token: {SECRET}\n  port: x\n",
        f"webrtc:\n  ice_servers: [{{urls: [a], credential: [{SECRET}]}}]\n",
        f"{SECRET}\n",
        f"cameras: rtsp://admin:{SECRET}@10.0.0.5\n",
        f"webhooks: https://example.org/{SECRET}\n",
        f"webrtc: {{ice_servers: 'turn:admin:{SECRET}@example.org'}}\n",
    ],
)
def test_no_message_shows_a_secret(text):
    write(text)
    with pytest.raises(SettingsError) as error:
        load_settings(None, {})
    assert SECRET not in str(error.value)
    assert error.value.__cause__ is None


def test_a_token_opens_other_addresses_and_stays_out_of_the_representation():
    settings = load_settings(None, {"STREAM_DETECT_TOKEN": SECRET, "STREAM_DETECT_SERVER__HOST": "0.0.0.0"})
    assert settings.server.token is not None
    assert settings.server.token.get_secret_value() == SECRET
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_loopback_is_what_only_this_machine_reaches(host, loopback):
    assert is_loopback(host) is loopback


def rows(section: type[BaseModel], prefix: str = "") -> list[str]:
    """The table's rows, one per setting: dotted name, default, description."""
    found: list[str] = []
    for name, info in section.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found += rows(info.annotation, f"{prefix}{name}.")
        elif info.is_required():
            found.append(f"| `{prefix}{name}` | required | {info.description} |")
        elif not prefix:  # a list of sections
            (item, _) = get_args(info.annotation)
            found += rows(item, f"{name}[].")
        else:
            default = info.default if type(info.default) in {int, float, str} else json.dumps(info.default, default=str)
            found.append(f"| `{prefix}{name}` | `{default}` | {info.description} |")
    return found


def test_the_document_has_exactly_the_existing_settings():
    lines = OPERATIONS.read_text(encoding="utf-8").splitlines()
    documented = [line for line in lines if re.match(r"\| `[a-z]+(\[\])?\.", line)]
    expected = rows(Settings)
    assert documented == expected, "put these rows into docs/operations.md:\n" + "\n".join(expected)
    assert not [row for row in expected if "| None |" in row], "every setting has a description"


@pytest.mark.parametrize("document", [OPERATIONS, OPERATIONS.parents[1] / "README.md"], ids=lambda path: path.name)
def test_the_documents_examples_are_settings(document):
    for name in ("server.pem", "server.key"):
        Path(name).write_text("a key")
    examples = re.findall(r"```yaml\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for example in examples:
        write(example)
        assert load_settings(None, {}) != Settings()


@pytest.mark.parametrize("sections", [AnalysisSettings, ExaminationSettings, WorkerSettings])
def test_a_room_is_given_the_sections_that_it_uses(sections):
    settings = Settings.model_validate({"feed": {"frozen_s": 5}, "window": {"min_scores": 7}})
    given = settings.only(sections)
    assert sections.model_fields.keys() < Settings.model_fields.keys()
    assert (given.feed, given.window) == (settings.feed, settings.window)
    assert sections.model_validate(given.model_dump()) == given


@pytest.mark.parametrize("sections", [ExaminationSettings, WorkerSettings])
def test_other_processes_are_given_no_password(sections):
    settings = Settings.model_validate(
        {
            "server": {"token": SECRET},
            "storage": {"database_url": f"postgresql://detect:{SECRET}@db/detect"},
            "mqtt": {"url": "mqtt://broker", "password": SECRET},
            "webhooks": [{"name": "a", "url": f"https://detect:{SECRET}@hooks.example.org"}],
            "cameras": [{"name": "door", "url": f"rtsp://detect:{SECRET}@door/s"}],
        }
    )
    assert SECRET.encode() in pickle.dumps(settings)
    assert SECRET.encode() not in pickle.dumps(settings.only(sections).model_dump())
