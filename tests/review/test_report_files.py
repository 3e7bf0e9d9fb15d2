"""Reports: self-contained, safe to open, and bounded for videos of any length."""

import csv
import io
import json
import re

import pytest

from stream_detect.cli.analyze_output import pictures_of
from stream_detect.review.examination import examine
from stream_detect.review.report import csv_line, csv_report, curve, html_report
from stream_detect.storage.records import Upload
from tests.review.scripted_models import LEFT, TINY, model, moving, review_models
from tests.sources.media_files import film

NAME = "=<script>alert(1)</script>.mp4"
LIMITS = {"fake_enter": 0.9, "fake_leave": 0.7, "real_enter": 0.15, "real_leave": 0.35}


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    file = film(tmp_path_factory.mktemp("clips") / "a.mp4", moving(40), options={"preset": "ultrafast"})
    return examine(file, review_models([model(maps=True), model(0.02, "other")], [LEFT, TINY]), 5.0)


@pytest.fixture(scope="module")
def results(reviewed):
    return json.loads(reviewed.as_json("01", Upload(NAME, 10, "cd" * 32)))


def test_the_page_is_whole_and_says_who_judged_what(reviewed, results):
    page = html_report(results, pictures_of(reviewed))
    assert not re.search(r"""(?:src|href)=["'](?!data:)|url\(|@import|<script""", page)
    for text in ("cd" * 32, "ab" * 32, "scripted, for tests", "other", "fake from 0.9", "20 frames, 5 per second",
                 "FAKE", "It knows nothing.", "&lt;script&gt;", "<svg", "That is not proof"):  # fmt: skip
        assert text in page, text
    flagged = sum(len(review["flagged"]) for review in results["models"])
    assert page.count("data:image/jpeg;base64,") == 2 * flagged > 0


def test_the_table_has_every_face_and_no_formula(results):
    rows = list(csv.DictReader(io.StringIO("".join(csv_report(results)))))
    assert len(rows) == 2 * 20 * 2
    assert rows[0]["file"] == "'" + NAME
    assert {row["rejected"] for row in rows} == {"", "face too small"}
    assert rows[-2]["model"] == "other"
    assert float(rows[-2]["score"]) == pytest.approx(0.02, abs=0.001)
    cut = results | {"notes": ["only the first 4 s were looked at"]}
    assert next(csv.DictReader(io.StringIO("".join(csv_report(cut)))))["notes"] == cut["notes"][0]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        *((f"{sign}1+1", f"'{sign}1+1") for sign in "=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"),
        *((f"x{between}=1+1", f"x{between}'=1+1") for between in (";", "\t", "|", ",", "; ", "\n", ';"')),
        ("\t=1", "\t'=1"), ("\x00=1", "\x00'=1"), (" \uff1d1", " '\uff1d1"), ("\ufeff=1", "\ufeff'=1"),
        ("a-b=c@d+e", "a-b=c@d+e"), (-1.5, "-1.5"), ("clip.mp4", "clip.mp4"),
    ],
)  # fmt: skip
def test_no_cell_is_a_formula_in_any_country(cell, written):
    assert next(csv.reader(io.StringIO(csv_line(["a", cell, "b"]), newline=""))) == ["a", written, "b"]


def frame(number, score, probability):
    faces = [] if score is None else [{"score": score}]
    return {"time_s": number / 5, "fake_probability": probability, "faces": faces}


def test_hours_are_drawn_as_small_as_minutes():
    hours = [frame(n, (n * 37 % 100) / 100, (n * 7 % 100) / 100) for n in range(36_000)]
    assert len(curve(hours, LIMITS, "real")) < 90_000


def test_holes_in_the_line_are_holes():
    drawn = curve([frame(0, 0.5, 0.5), frame(1, 0.5, 0.5), frame(2, None, None), frame(3, 0.5, 0.5)], LIMITS, "real")
    line = re.search(r'<path d="([^"]*)" fill="none"', drawn)[1]
    assert line.count("M") == 2
    assert "nan" not in drawn
    assert "<svg" in curve([], LIMITS, "no_face")
