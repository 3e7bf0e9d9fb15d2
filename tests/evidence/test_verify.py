"""Any change, removal or reordering in events and evidence is found and named."""

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import pytest
from typer.testing import CliRunner

from stream_detect.cli import app
from stream_detect.errors import StorageError
from stream_detect.evidence.folder import EvidenceFolder, file_sha256
from stream_detect.evidence.verify import signature_line, verify
from stream_detect.media.credentials import CredentialsReader
from stream_detect.media.signing import ContentSigner, Statement
from stream_detect.settings import StorageSettings
from stream_detect.storage.chain import FIRST, Chain, ChainSnapshot, entry_hash
from stream_detect.storage.checks import CheckRecord, Checks
from stream_detect.storage.database import Database
from stream_detect.storage.events import Events
from stream_detect.storage.records import Evidence
from tests.authority import Authority, Holder, jpeg, made_before_expiry, pem
from tests.patience import until
from tests.scenes import WALL_S, event


class Kept:
    """Three events: the second with two files, the third ongoing."""

    def __init__(self, folder: Path, holder: Holder | None = None) -> None:
        self.holder = holder
        self.storage = StorageSettings(folder=folder / "storage")
        self.files = self.storage.folder / "evidence"
        with Database.open(self.storage) as database:
            events = Events(database)
            self.ids = []
            for at_s in (0.0, 10.0, 20.0):
                one = event(at_s)
                self.ids.append(one.id)
                events.begin(one)
                events.update(one.id, peak=0.97, mean=0.9)
                if at_s == 10.0:
                    events.update(one.id, evidence=self._evidence(one.id))
                if at_s < 20.0:
                    events.end(replace(one, ended_s=one.began_s + 5, peak=0.98))
        self.path = self.storage.folder / "stream-detect.sqlite3"

    def _evidence(self, event_id: str) -> Evidence:
        self.files.mkdir(parents=True)
        names = [f"{event_id}-picture.jpg", f"{event_id}-clip.mp4"]
        (self.files / names[0]).write_bytes(jpeg())
        (self.files / names[1]).write_bytes(names[1].encode() * 99)
        if self.holder is not None:
            signer = ContentSigner(*self.holder.write(self.storage.folder))
            signer.sign(self.files / names[0], Statement(names[0]))
        sums = tuple((name, file_sha256(self.files / name)) for name in names)
        return Evidence(picture=names[0], clip=names[1], bytes=5000, sha256=sums)

    def verify(self, head: str | None = None):
        reader = CredentialsReader(signers=pem(self.holder.certificate).decode() if self.holder else "")
        with Database.open(self.storage, alone=False) as database:
            return verify(Chain(database), EvidenceFolder(self.files, 0), reader, head)

    @property
    def picture(self) -> Path:
        return self.files / f"{self.ids[1]}-picture.jpg"

    def rewrite_chain(self) -> None:
        """Like an attacker who can write everything but does not have the key."""
        previous = FIRST
        with closing(sqlite3.connect(self.path)) as connection, connection:
            found = connection.execute("SELECT number, event_id, what, content FROM event_chain ORDER BY number")
            for number, event_id, what, text in found.fetchall():
                content = json.loads(text)
                if what == "evidence":
                    content["sha256"] = {name: file_sha256(self.files / name) for name in content["sha256"]}
                written = json.dumps(content, sort_keys=True, separators=(",", ":"))
                digest = entry_hash(number, event_id, what, written, previous)
                connection.execute(
                    "UPDATE event_chain SET content = ?, previous = ?, hash = ? WHERE number = ?",
                    (written, previous, digest, number),
                )
                previous = digest

    def sql(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute(statement, values)
        connection.close()


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


@pytest.fixture
def check_id(kept: Kept) -> str:
    """The entry of a check after those of events."""
    record = CheckRecord("c" * 32, None, "anna", WALL_S, WALL_S + 60, "OBS Virtual Camera", "OBS Studio")
    with Database.open(kept.storage) as database:
        Checks(database).add(record)
    return record.id


def test_what_was_written_holds(kept):
    found = kept.verify()
    assert found.problems == ()
    assert (found.entries, found.files) == (6, 2)
    assert kept.verify(found.head).problems == ()


@pytest.mark.parametrize(
    "change",
    ["camera = 'other'", "began_s = began_s - 1", "judge = json_set(judge, '$.name', 'x')", "peak = .1",
     "reason = 'nothing'", "ended_s = ended_s + 60", "interrupted = 1", "kind = 'offline'"],
)  # fmt: skip
def test_a_changed_event_is_named(kept, change):
    kept.sql(f"UPDATE events SET {change} WHERE id = ?", kept.ids[0])  # noqa: S608 - of the table above
    assert kept.verify().problems == (f"event {kept.ids[0]} was changed",)


@pytest.mark.parametrize("column", ["camera", "began_s", "reason", "judge", "gaps_s", "interrupted", "peak", "track"])
@pytest.mark.parametrize("value", ["x", b"\xff\x00", "[1]"])
def test_a_value_of_another_type_is_a_change(kept, column, value):
    kept.sql(f"UPDATE events SET {column} = ? WHERE id = ?", value, kept.ids[0])  # noqa: S608 - of the table above
    assert kept.verify().problems == (f"event {kept.ids[0]} was changed",)


@pytest.mark.parametrize("column", ["who", "began_s", "judge", "challenges", "challenges_ended"])
@pytest.mark.parametrize("value", ["x", b"\xff\x00"])
def test_a_value_of_another_type_in_a_check_is_a_change(kept, check_id, column, value):
    kept.sql(f"UPDATE checks SET {column} = ?", value)  # noqa: S608 - of the table above
    assert kept.verify().problems == (f"check {check_id} was changed",)


@pytest.mark.parametrize("column", ["number", "event_id", "what", "content", "previous", "hash"])
@pytest.mark.parametrize(
    "value", ["x", b"\xff\x00", "[]", "{}", '{"sha256": null}', '{"sha256": {"' + "a" * 500 + '": 1}}']
)
@pytest.mark.parametrize("number", [1, 4], ids=["beginning", "evidence"])
def test_whatever_is_written_over_an_entry_it_is_named(kept, column, value, number):
    kept.sql(f"UPDATE event_chain SET {column} = ? WHERE number = ?", value, number)  # noqa: S608 - of the table above
    problems = kept.verify().problems
    named = (f"entry {number} of event", "an entry of event")
    assert any(words in problem for problem in problems for words in named), problems


@pytest.mark.parametrize("change", ["ended_s = began_s + 1", "interrupted = 1"])
def test_an_open_event_that_was_closed_by_hand_is_named(kept, change):
    kept.sql(f"UPDATE events SET {change} WHERE id = ?", kept.ids[2])  # noqa: S608 - of the table above
    assert kept.verify().problems == (f"event {kept.ids[2]} was changed: it has ended, and no end was written",)


@pytest.mark.parametrize("change", ["evidence_problem = NULL", "evidence_bytes = 0"])
def test_an_event_that_hides_its_files_is_named(kept, change):
    kept.sql(f"UPDATE events SET {change} WHERE id = ?", kept.ids[1])  # noqa: S608 - of the table above
    assert kept.verify().problems == (f"event {kept.ids[1]} was changed: it hides its files",)


def test_an_event_that_names_other_files_is_named(kept):
    kept.sql("UPDATE events SET picture = NULL WHERE id = ?", kept.ids[1])
    assert kept.verify().problems == (f"event {kept.ids[1]} was changed: it names other files than were written",)


def test_a_missing_event_is_named_but_a_deleted_one_is_not(kept):
    kept.sql("DELETE FROM events WHERE id = ?", kept.ids[0])
    assert kept.verify().problems == (f"event {kept.ids[0]} is missing",)


def test_an_event_that_was_deleted_by_its_owner_is_no_problem(kept):
    with Database.open(kept.storage) as database:
        Events(database).delete(kept.ids[1])
        Events(database).expire(2e9)
    assert kept.verify().problems == ()


def test_a_check_that_was_written_holds_and_may_be_deleted_by_its_owner(kept, check_id):
    assert kept.verify().problems == ()
    with Database.open(kept.storage) as database:
        Checks(database).delete(check_id)
    assert kept.verify().problems == ()


@pytest.mark.parametrize(
    "change",
    ["who = 'ben'", "ended_s = ended_s - 1", "virtual_camera = ''", "state = 'real'",
     "challenges = '[{\"state\": \"passed\"}]'", "challenges_ended = 7"],
)  # fmt: skip
def test_a_changed_check_is_named(kept, check_id, change):
    kept.sql(f"UPDATE checks SET {change}")  # noqa: S608 - of the table above
    assert kept.verify().problems == (f"check {check_id} was changed",)


def test_a_missing_check_an_added_one_and_a_changed_entry_are_named(kept, check_id):
    kept.sql("UPDATE checks SET id = 'added'")
    kept.sql("UPDATE event_chain SET content = '{}' WHERE event_id = ?", check_id)
    assert kept.verify().problems == (
        f"entry 7 of check {check_id} was changed",
        "check added was added: the chain does not know it",
        f"check {check_id} is missing",
    )


def test_an_added_event_is_named(kept):
    with sqlite3.connect(kept.path) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(events)")]
        rest = ", ".join(names[1:])
        connection.execute(f"INSERT INTO events (id, {rest}) SELECT 'added', {rest} FROM events LIMIT 1")  # noqa: S608
    connection.close()
    assert kept.verify().problems == ("event added was added: the chain does not know it",)


def test_reordered_changed_and_missing_entries_are_named(kept):
    kept.sql("UPDATE event_chain SET number = 99 WHERE number = 2")
    kept.sql("UPDATE event_chain SET number = 2 WHERE number = 3")
    kept.sql("UPDATE event_chain SET number = 3 WHERE number = 99")
    problems = kept.verify().problems
    assert any("entry 2 of event" in problem and "reordered" in problem for problem in problems)


def test_a_changed_entry_is_named(kept):
    kept.sql("UPDATE event_chain SET content = '{}' WHERE number = 1")
    assert any(
        problem.startswith("entry 1 of event") and "was changed" in problem for problem in kept.verify().problems
    )


def test_missing_entries_are_named(kept):
    kept.sql("DELETE FROM event_chain WHERE number IN (2, 3)")
    assert any("entries 2 to 3 of the chain are missing" in problem for problem in kept.verify().problems)


def test_a_chain_whose_end_was_cut_off_does_not_hold_the_head_that_was_noted(kept):
    head = kept.verify().head
    kept.sql("DELETE FROM event_chain WHERE event_id = ?", kept.ids[2])
    kept.sql("DELETE FROM events WHERE id = ?", kept.ids[2])
    assert kept.verify().problems == ()
    (problem,) = kept.verify(head).problems
    assert head in problem


def test_a_changed_and_a_missing_file_are_named(kept):
    picture, clip = f"{kept.ids[1]}-picture.jpg", f"{kept.ids[1]}-clip.mp4"
    (kept.files / picture).write_bytes(b"another")
    (kept.files / clip).unlink()
    assert set(kept.verify().problems) == {
        f"file {picture} of event {kept.ids[1]} was changed",
        f"file {clip} of event {kept.ids[1]} is missing",
    }


def test_evidence_that_was_deleted_by_its_owner_is_no_problem(kept):
    with Database.open(kept.storage) as database:
        Events(database).update(kept.ids[1], evidence=Evidence(problem="evidence was deleted by an operator"))
    for file in kept.files.iterdir():
        file.unlink()
    assert kept.verify().problems == ()


def test_events_that_a_crash_left_open_are_chained_when_they_are_ended(kept):
    with Database.open(kept.storage) as database:
        Events(database).interrupted(2e9)
    assert kept.verify().problems == ()
    kept.sql("UPDATE events SET interrupted = 0 WHERE id = ?", kept.ids[2])
    assert kept.verify().problems == (f"event {kept.ids[2]} was changed",)


@pytest.fixture
def signed(tmp_path: Path) -> Kept:
    return Kept(tmp_path, Authority().holder())


def test_signatures_are_counted(signed):
    found = signed.verify()
    assert found.problems == ()
    assert found.signatures == {"valid": 1, "none": 1}
    assert signature_line(found.signatures) == "Signatures: 1 are signed by the operator; 1 are not signed."


def test_a_changed_file_is_found_even_with_a_rewritten_chain(signed):
    head = signed.verify().head
    content = signed.picture.read_bytes()
    signed.picture.write_bytes(content[:-500] + bytes([content[-500] ^ 1]) + content[-499:])
    signed.rewrite_chain()
    (problem,) = signed.verify().problems
    assert problem == (
        f"the signature of file {signed.picture.name} of event {signed.ids[1]} is invalid: the file was changed "
        "after it was signed"
    )
    assert any(head in problem for problem in signed.verify(head).problems)


def test_a_file_that_another_signed_is_named(signed, tmp_path):
    folder = tmp_path / "attacker"
    folder.mkdir()
    signed.picture.write_bytes(jpeg(2))
    ContentSigner(*Authority().holder("Operator").write(folder)).sign(signed.picture, Statement("a.jpg"))
    signed.rewrite_chain()
    (problem,) = signed.verify().problems
    assert "is signed by Operator (Example Ltd), who is not the operator" in problem


def test_a_signature_stays_one_when_its_certificate_has_expired(tmp_path):
    _, kept = made_before_expiry(Authority(), lambda holder: Kept(Path(mkdtemp(dir=tmp_path)), holder))
    until(lambda: kept.verify().signatures.get("untrusted") == 1)
    assert kept.verify().problems == ()
    assert "who signed is not verified" in signature_line(kept.verify().signatures)


def test_the_command_says_it_by_its_status(kept, monkeypatch, tmp_path):
    monkeypatch.setitem(os.environ, "STREAM_DETECT_STORAGE__FOLDER", str(kept.storage.folder))
    monkeypatch.setitem(os.environ, "STREAM_DETECT_SETTINGS", os.devnull)
    monkeypatch.chdir(tmp_path)
    well = CliRunner().invoke(app, ["verify-evidence"])
    assert (well.exit_code, well.output.splitlines()[-2:]) == (
        0, ["Signatures: 2 are not signed.", "The chain is intact."],
    )  # fmt: skip
    kept.sql("UPDATE events SET peak = .1 WHERE id = ?", kept.ids[0])
    broken = CliRunner().invoke(app, ["verify-evidence"])
    assert broken.exit_code == 1
    assert f"event {kept.ids[0]} was changed" in broken.output


@pytest.mark.parametrize("command", [["verify-evidence"], ["verify-audit"], ["purge", "--yes"], ["cluster", "leases"]])
@pytest.mark.parametrize("missing", [True, False], ids=["missing", "empty"])
def test_no_command_makes_a_database_in_place_of_one_that_is_gone(kept, command, missing):
    kept.path.unlink() if missing else kept.path.write_bytes(b"")
    environment = {"STREAM_DETECT_STORAGE__FOLDER": str(kept.storage.folder), "STREAM_DETECT_SETTINGS": os.devnull}
    result = CliRunner().invoke(app, command, env=environment)
    assert isinstance(result.exception, StorageError)
    assert "expected the database of a server, found none" in str(result.exception)
    assert kept.path.exists() is not missing


def test_the_command_knows_the_signer_of_the_settings_and_those_before(signed, monkeypatch, tmp_path):
    monkeypatch.setitem(os.environ, "STREAM_DETECT_STORAGE__FOLDER", str(signed.storage.folder))
    monkeypatch.setitem(os.environ, "STREAM_DETECT_SETTINGS", os.devnull)
    monkeypatch.chdir(tmp_path)
    stranger = CliRunner().invoke(app, ["verify-evidence"])
    assert stranger.exit_code == 1
    assert "who is not the operator" in stranger.output
    certificate, key = signed.holder.write(tmp_path)
    assert CliRunner().invoke(app, ["verify-evidence", "--signers", str(certificate)]).exit_code == 0
    monkeypatch.setitem(os.environ, "STREAM_DETECT_EVIDENCE__SIGNING_CERTIFICATE", str(certificate))
    monkeypatch.setitem(os.environ, "STREAM_DETECT_EVIDENCE__SIGNING_KEY", str(key))
    well = CliRunner().invoke(app, ["verify-evidence"])
    assert well.exit_code == 0, well.output
    assert "1 are signed by the operator" in well.output


def test_an_event_without_evidence_that_names_files_is_named(kept):
    kept.sql("UPDATE events SET picture = 'other.jpg' WHERE id = ?", kept.ids[0])
    assert kept.verify().problems == (f"event {kept.ids[0]} was changed: it names files, and none were written",)


def test_what_a_server_writes_meanwhile_is_no_problem(kept, monkeypatch):
    entries = ChainSnapshot.entries

    def and_meanwhile(snapshot):
        yield from entries(snapshot)
        with Database.open(kept.storage, alone=False) as database:
            events = Events(database)
            events.begin(event(30.0))
            events.delete(kept.ids[0])
            events.end(replace(event(20.0), id=kept.ids[2], ended_s=event(20.0).began_s + 1))
            gone = events.delete(kept.ids[1])
            EvidenceFolder(kept.files, 0).delete(gone)

    monkeypatch.setattr(ChainSnapshot, "entries", and_meanwhile)
    assert kept.verify().problems == ()
