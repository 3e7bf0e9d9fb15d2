"""`stream-detect cluster`: management of nodes on the command line."""

import pytest

from stream_detect.cli import main
from stream_detect.settings import Settings
from stream_detect.storage.audit import AuditFilter, AuditTable
from stream_detect.storage.database import Database
from stream_detect.storage.leases import Leases


def test_nodes_are_drained_and_used_again_and_the_audit_log_says_by_whom(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STREAM_DETECT_STORAGE__FOLDER", str(tmp_path))
    storage = Settings(storage={"folder": tmp_path}).storage
    Database.open(storage).close()

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["cluster", *arguments])
        assert not ended.value.code
        return capsys.readouterr().out

    assert "north is drained" in run("drain", "north")
    assert "drained: north" in run("leases")
    assert "north may have cameras again" in run("undrain", "north")
    with Database.open(storage) as database:
        assert not Leases(database).drained()
        entries = AuditTable(database).page(AuditFilter())
    assert [(one.action, one.by, one.target) for one in entries] == [
        ("cluster.undrain", "command_line", "north"),
        ("cluster.drain", "command_line", "north"),
    ]
    assert all(one.who for one in entries)
