"""An evaluation from end to end: scores, JSON and HTML reports, unreadable files, and earlier output."""

import csv
import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.cli import evaluate as commands
from stream_detect.errors import AnalysisError, DatasetError
from stream_detect.evaluation import degradation, run
from stream_detect.evaluation.dataset import read_table
from stream_detect.evaluation.report import html_report
from stream_detect.evaluation.run import EvaluationPlan, evaluate
from stream_detect.evaluation.score_sheet import check_report, write_report
from stream_detect.settings import ModelSettings


@pytest.fixture
def crops(folder, crop):
    """Sixteen face crops; fakes are brighter, except in set "b", where they are darker."""
    for i in range(16):
        fake, part = i % 2 == 1, "b" if i >= 12 else "a"
        share = (0.5 if fake == (part == "a") else 0.3) + 0.01 * i
        label = "fake" if fake else "real"
        folder.picture(f"{i}.png", (crop * share).astype(np.uint8), label, set=part, group=f"g{i // 2}")
    return folder


def plan(folder, **changes):
    return EvaluationPlan(**{"manifest": folder.write(), "root": folder.root, "crops": True, **changes})


def table(file):
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def part_of(summary, level="image", name=None, model="bright"):
    return next(p for p in summary.parts if (p.level, p.set, p.model) == (level, name, model))


def test_scores_have_a_row_for_every_file_and_model(crops, entrant, tmp_path):
    file = tmp_path / "new" / "scores.csv"
    evaluate(plan(crops), [entrant(), entrant("other", lambda _: 0.25)], AnalysisSettings(), file)
    head, *rows = table(file)
    assert head == ["file", "label", "model", "fake_probability", "faces", "reason"]
    assert [row[:3] for row in rows[:3]] == [
        ["0.png", "real", "bright"],
        ["0.png", "real", "other"],
        ["1.png", "fake", "bright"],
    ]
    assert len(rows) == 32
    assert rows[1][3:] == ["0.250000", "1", ""]
    assert not file.with_name("scores.csv.part").exists()


def test_sets_are_measured_apart_and_together(crops, entrant):
    summary, _ = evaluate(plan(crops, by="set"), [entrant()], AnalysisSettings())
    assert [p.set for p in summary.parts] == [None, "a", "b"]
    assert part_of(summary, name="a").figures.auc.value == 1
    assert part_of(summary, name="b").figures.auc.value == 0
    whole = part_of(summary).figures
    assert (whole.real, whole.fake, whole.groups) == (8, 8, 8)
    assert 0.5 < whole.auc.value < 1


def test_the_same_again_is_the_same_on_any_number_of_threads(crops, entrant):
    one, _ = evaluate(plan(crops, by="set", threads=1), [entrant()], AnalysisSettings())
    four, _ = evaluate(plan(crops, by="set", threads=4), [entrant()], AnalysisSettings())
    assert one.to_json() == four.to_json()


def test_a_bad_file_is_counted_with_its_row_and_stops_nothing(crops, entrant, tmp_path):
    (crops.root / "3.png").write_bytes(b"\x89PNG nothing")
    crops.row("gone.png", "fake", set="a")
    summary, outcomes = evaluate(plan(crops, by="set"), [entrant()], AnalysisSettings(), tmp_path / "scores.csv")
    assert [(bad.row, bad.file, bad.reason) for bad in summary.unreadable] == [
        (5, "3.png", "picture cannot be decoded: it is damaged, or its format is not supported"),
        (18, "gone.png", "file is missing"),
    ]
    assert part_of(summary).counts.judged == 15
    assert table(tmp_path / "scores.csv")[4][:5] == ["3.png", "fake", "bright", "", "0"]
    assert "gone.png" in html_report(summary, outcomes)


def test_a_wrong_root_is_reported(crops, entrant, tmp_path):
    with pytest.raises(
        DatasetError, match=r"none of the 16 could be read; row 2 of .*0\.png: file is missing; correct --root"
    ):
        evaluate(plan(crops, root=tmp_path), [entrant()], AnalysisSettings())


def test_pictures_without_a_usable_face_are_counted_not_guessed(folder, photo, entrant):
    folder.picture("face.png", photo, "fake")
    folder.picture("dark.png", (photo * 0.1).astype(np.uint8), "fake")
    folder.picture("wall.png", np.full((300, 300, 3), 120, np.uint8), "real")
    folder.picture("dim.png", (photo * 0.6).astype(np.uint8), "real")
    summary, outcomes = evaluate(plan(folder, crops=False), [entrant()], AnalysisSettings())
    counts = part_of(summary).counts
    assert (counts.files, counts.judged, counts.crops_themselves) == (4, 2, 0)
    assert counts.unusable == {"no face found": 1, "too dark": 1}
    assert [o.judgements[0].fake_probability is None for o in outcomes] == [False, True, True, False]


def test_crops_without_a_face_are_counted_apart(crops, entrant):
    crops.picture("wall.png", np.full((224, 224, 3), 120, np.uint8), "real", set="a")
    summary, outcomes = evaluate(plan(crops), [entrant()], AnalysisSettings())
    counts = part_of(summary).counts
    assert (counts.files, counts.judged, counts.crops_themselves) == (17, 17, 1)
    assert outcomes[-1].judgements[0].fake_probability == pytest.approx(120 / 255, abs=0.01)


def test_videos_are_measured_by_frame_and_as_a_whole(folder, photo, entrant):
    for i, label in enumerate(["real", "fake"] * 2):
        share = 1.0 if label == "fake" else 0.6
        # It moves: a still picture is not scored again.
        frames = [np.roll((photo * share).astype(np.uint8), 4 * step, axis=1) for step in range(12)]
        folder.video(f"{i}.mp4", frames, label)
    folder.picture("still.png", photo, "fake")
    summary, outcomes = evaluate(plan(folder, crops=False), [entrant()], AnalysisSettings())
    assert [(p.level, p.counts.files) for p in summary.parts] == [("image", 1), ("frame", 4), ("video", 4)]
    frame, whole = part_of(summary, "frame").figures, part_of(summary, "video").figures
    assert (frame.real, frame.fake, frame.groups) == (12, 12, 4)
    assert (whole.real, whole.fake, whole.auc.value) == (2, 2, 1)
    assert part_of(summary, "video").counts.real_s == pytest.approx(2 * 1.1, abs=0.01)
    text = html_report(summary, outcomes)
    assert "Plots, videos" in text
    assert "0 times in 0.0 minutes of real videos, 0.0 an hour" in text


def test_groups_that_a_calibration_used_can_be_left_out(crops, entrant):
    summary, outcomes = evaluate(plan(crops, held_out=True), [entrant()], AnalysisSettings())
    groups = {o.entry.group for o in outcomes}
    assert 0 < len(groups) < 8
    assert summary.subject.only == ("held-out groups",)


def test_the_validation_faces_of_a_table_are_those_that_a_training_leaves_out(folder, crop, entrant):
    for i in range(20):
        for label in ("real", "fake"):
            named = {"split": "val"} if i == 0 and label == "real" else {}  # the other rows have none
            folder.picture(f"{label}{i}.png", crop, label, group=f"g{i}", **named)
    left_out = [each.row.file for each in read_table(folder.write()).of("val")]
    assert 2 <= len(left_out) < 20
    summary, outcomes = evaluate(plan(folder, split="val"), [entrant()], AnalysisSettings())
    assert [outcome.entry.file for outcome in outcomes] == left_out
    assert {"real0.png", "fake0.png"} < set(left_out)
    assert summary.subject.only == ("split=val",)
    given = ["--data", str(folder.root / "manifest.csv"), "--crops", "--only", "split=test"]
    with pytest.raises(DatasetError, match="split=train or split=val, received split=test"):
        CliRunner().invoke(commands.app, given, catch_exceptions=False)


def test_robustness_compares_with_the_same_pictures_as_they_are(crops, entrant, monkeypatch):
    darker = degradation.Condition("darker", lambda image, _: (image * 0.5).astype(np.uint8))
    monkeypatch.setattr(run, "conditions", lambda: (darker,))
    progress = []
    summary, _ = evaluate(
        plan(crops, robust=8),
        [entrant(threshold=0.2)],
        AnalysisSettings(),
        on_progress=lambda *now: progress.append(now),
    )
    clean, worse = summary.robustness
    assert (clean.condition, clean.judged, clean.auc_change) == ("as it is", 8, 0)
    assert (worse.condition, worse.judged, worse.files) == ("darker", 8, 8)
    assert worse.auc.value == pytest.approx(clean.auc.value, abs=0.1)  # darkening keeps the order
    assert worse.false_alarm_rate.value < clean.false_alarm_rate.value
    assert worse.false_alarm_change == pytest.approx(worse.false_alarm_rate.value - clean.false_alarm_rate.value)
    assert progress[15] == ("judging", 16, 16)
    assert progress[-1] == ("images, darker", 8, 8)


def test_the_same_pictures_are_drawn_every_time_half_of_them_fake(crops, entrant):
    _, outcomes = evaluate(plan(crops), [entrant()], AnalysisSettings())
    drawn = run._chosen(outcomes, 6)
    assert [o.entry.fake for o in drawn].count(True) == 3
    assert drawn == run._chosen(reversed(outcomes), 6)
    only_two_fakes = [o for o in outcomes if not o.entry.fake or o.entry.line < 6]
    assert [o.entry.fake for o in run._chosen(only_two_fakes, 8)].count(False) == 6


def test_videos_are_worsened_too_and_noise_is_the_same_every_time(folder, photo, entrant, monkeypatch):
    rows = degradation.conditions()
    wanted = [row for row in rows if row.name in ("noise of 10", "VP8, 150 kbit/s")]
    monkeypatch.setattr(run, "conditions", lambda: wanted)
    folder.video("a.mp4", [(photo * 0.6).astype(np.uint8)] * 6, "real")
    folder.video("b.mp4", [photo] * 6, "fake")
    folder.video("c.mp4", [photo] * 6, "fake")
    chosen = plan(folder, crops=False, robust=20)
    # Includes the last digits of the score, which differ if noise were drawn differently.
    fine = entrant(score=lambda crop: float(crop.astype(np.float64).mean()) * 1e4 % 1)
    summary, _ = evaluate(chosen, [fine], AnalysisSettings())
    assert [(r.level, r.condition, r.judged, r.files) for r in summary.robustness] == [
        ("video", name, 2, 2) for name in ("as it is", "noise of 10", "VP8, 150 kbit/s")
    ]
    again, _ = evaluate(chosen, [fine], AnalysisSettings())
    assert summary.to_json() == again.to_json()


def test_earlier_output_is_kept_if_a_run_is_interrupted(crops, entrant, tmp_path):
    file = tmp_path / "scores.csv"
    file.write_text("earlier", encoding="utf-8")
    calls = []

    def fails(crop):
        calls.append(crop)
        if len(calls) > 5:
            raise AnalysisError("no more")
        return 0.5

    with pytest.raises(AnalysisError, match="no more"):
        evaluate(plan(crops, threads=1), [entrant(score=fails)], AnalysisSettings(), file)
    assert file.read_text(encoding="utf-8") == "earlier"
    assert len(table(tmp_path / "scores.csv.part")) == 1 + 5


def test_an_unwritable_output_is_reported(crops, entrant, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"cannot write .*file/scores\.csv"):
        evaluate(plan(crops), [entrant()], AnalysisSettings(), tmp_path / "file" / "scores.csv")


def test_a_report_is_written_with_its_folder_and_replaces_the_earlier_one(tmp_path):
    report = tmp_path / "new" / "report.html"
    for text in ("first", "second"):
        write_report(report, text)
        assert report.read_text(encoding="utf-8") == text
    assert list(report.parent.iterdir()) == [report]
    other = tmp_path / "other"
    other.touch()
    assert report.stat().st_mode == other.stat().st_mode  # as the umask says: reports are meant to be shared


def test_a_report_that_cannot_be_written_is_reported_and_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for place in (tmp_path / "folder", tmp_path / "file" / "report.html"):
        for write in (check_report, lambda file: write_report(file, "text")):
            with pytest.raises(DatasetError, match=f"cannot write {place}: expected .* to be readable and writable"):
                write(place)
    check_report(tmp_path / "file")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_a_report_that_cannot_be_written_is_reported_before_anything_is_judged(crops, tmp_path, option):
    given = plan(crops)
    outcome = CliRunner().invoke(
        commands.app, ["--manifest", str(given.manifest), "--root", str(given.root), "--crops", option, str(tmp_path)]
    )
    assert isinstance(outcome.exception, DatasetError)
    assert str(outcome.exception).startswith(f"cannot write {tmp_path}")
    assert "judging" not in outcome.output


def test_the_page_needs_nothing_else_and_shows_all(crops, entrant):
    summary, outcomes = evaluate(
        plan(crops, by="set", robust=0), [entrant("a<b>"), entrant("other")], AnalysisSettings()
    )
    text = html_report(summary, outcomes)
    assert not re.findall(r'<script|<link|(?:src|href)="(?!#)', text)
    assert "a<b>" not in text
    assert "a&lt;b&gt;" in text
    for title in ("ROC", "Precision and recall", "Reliability", "Scores: other", "Confusion matrix at 0.8: other"):
        assert title in text
    assert text.count("<svg") == 3 + 2 + 2  # overall; by set, and scores, for each model
    assert text == html_report(summary, outcomes)


def test_the_command_judges_by_the_model_that_serves(crops, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    crops.row("gone.png", "real", set="a", group="g99")
    files = [tmp_path / name for name in ("out.json", "out.html", "out.csv")]
    options = [f"--{file.suffix[1:].replace('csv', 'scores')}={file}" for file in files]
    outcome = CliRunner().invoke(
        commands.app,
        ["--manifest", str(crops.write()), "--root", str(crops.root), "--crops", "--by", "set", *options],
        catch_exceptions=False,
    )
    assert outcome.exit_code == 0, outcome.output
    assert "row 18, gone.png: file is missing" in outcome.output
    report = json.loads(files[0].read_text(encoding="utf-8"))
    assert report["schema"] == 2
    assert [model["name"] for model in report["models"]] == [ModelSettings().name]
    assert report["subject"]["rows"] == 17
    assert len(table(files[2])) == 18
    assert "</html>" in files[1].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "set"], "expected --only COLUMN=VALUE, received 'set'"),
        (["--model", "meso4-dfdc", "meso4-dfdc"], "received meso4-dfdc twice"),
        (["--by", "source"], "the column source"),
    ],
)
def test_options_that_make_no_sense_are_reported(crops, options, message):
    with pytest.raises(DatasetError, match=message):
        CliRunner().invoke(
            commands.app,
            ["--manifest", str(crops.write()), "--root", str(crops.root), *options],
            catch_exceptions=False,
        )


def test_several_data_folders_are_measured_by_family_generator_and_source(folder, crop, tmp_path, entrant):
    folders = [type(folder)(tmp_path / name) for name in ("one", "two")]
    for number, each in enumerate(folders):
        for i in range(4):
            fake = i % 2 == 1
            picture = (crop * (0.7 if fake else 0.3)).astype(np.uint8)
            known = {"family": "swap", "generator": f"G{number}"} if fake else {"family": "none", "generator": "none"}
            name = f"{i}.png"  # in both folders
            each.picture(name, picture, "fake" if fake else "real", source=f"s{number}", group=f"{number}-{i}", **known)
    (first, *rest) = [(each.write(), each.root) for each in folders]
    summary, outcomes = evaluate(
        EvaluationPlan(*first, more=tuple(rest), crops=True),
        [entrant("bright")],
        AnalysisSettings(),
    )
    assert summary.subject.rows == len(outcomes) == 8
    assert [manifest.name for manifest in summary.subject.manifests] == ["one/manifest.csv", "two/manifest.csv"]
    by = {(row.figures.family, row.figures.generator): row.figures for row in summary.families}
    assert set(by) == {("swap", None), ("swap", "G0"), ("swap", "G1")}
    assert (by["swap", None].fakes, by["swap", None].own_reals) == (4, 4)
    assert (by["swap", "G0"].own_reals, by["swap", "G0"].own_auc.value, by["swap", "G0"].auc.value) == (2, 1.0, 1.0)
    assert [(row.figures.source, row.figures.reals) for row in summary.real_sources] == [("s0", 2), ("s1", 2)]
    assert "Reliability by family" in html_report(summary, outcomes)
