"""The script that puts the benchmarks' figures into docs/performance.md."""

import json

import pytest

from scripts import readme_figures

REPORT = {
    "setting": {"rounds": 1, "processors": 2, "machine": "Linux-6.18-x86_64-with-glibc2.36"},
    "cpu": {"what": "CPU", "value": 1.5, "unit": "ms", "target": "<= 2", "met": True, "void": False},
}


def test_the_tables_between_the_marks_are_replaced_and_the_rest_stays(tmp_path, monkeypatch):
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{readme_figures.BEGIN}\nold\n{readme_figures.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(readme_figures, "DOCUMENT", document)
    (tmp_path / "live.json").write_text(json.dumps(REPORT), encoding="utf-8")
    readme_figures.main([tmp_path / "live.json"])
    text = document.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| CPU | 1.50 ms | <= 2 | yes |" in text
    assert "old" not in text
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= readme_figures.COLUMNS


def test_the_document_has_the_marks():
    text = readme_figures.DOCUMENT.read_text(encoding="utf-8")
    assert text.index(readme_figures.BEGIN) < text.index(readme_figures.END)


def test_a_document_without_the_marks_is_left_alone(tmp_path, monkeypatch):
    document = tmp_path / "performance.md"
    document.write_text("no marks\n", encoding="utf-8")
    monkeypatch.setattr(readme_figures, "DOCUMENT", document)
    with pytest.raises(SystemExit, match="expected"):
        readme_figures.main([])
    assert document.read_text(encoding="utf-8") == "no marks\n"
