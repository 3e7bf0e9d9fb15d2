"""Plots of a measurement and of a training, as PNG files: ROC curve, confusion matrix, scores, loss and AUC."""

import csv
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score, roc_curve

from stream_detect.evaluation.metrics import confusion
from stream_detect.evaluation.scored import Scored

REAL, FAKE = "#0072B2", "#D55E00"
"""Blue and vermilion of Okabe and Ito, which colour-blind people can distinguish."""

_DPI = 120


def write_report(scored: Scored, threshold: float, folder: Path) -> tuple[Path, ...]:
    """Writes ROC curve, confusion matrix and histogram of the scores as PNG files to `folder`, which is created.

    Args:
        scored: calibrated faces, real and fake.
        threshold: fake_probability from which a face counts as called fake.
        folder: output folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"roc": _roc(scored), "confusion": _confusion(scored, threshold), "scores": _scores(scored, threshold)}
    return tuple(_save(figure, folder / f"{name}.png") for name, figure in drawn.items())


def write_curves(curves: Path, to: Path) -> Path:
    """Plots loss and validation AUC of a training by step.

    Args:
        curves: CSV with the columns step, loss, val_auc (empty where not measured).
        to: the PNG file.
    """
    with curves.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    figure, left = _figure("Training", "step", "loss")
    left.plot([int(row["step"]) for row in rows], [float(row["loss"]) for row in rows], color=REAL)
    left.tick_params(axis="y", labelcolor=REAL)
    measured = [(int(row["step"]), float(row["val_auc"])) for row in rows if row["val_auc"]]
    if measured:
        right = left.twinx()
        right.plot(*zip(*measured, strict=True), color=FAKE, marker="o", markersize=3)
        right.set_ylabel("validation AUC")
        right.tick_params(axis="y", labelcolor=FAKE)
    return _save(figure, to)


def _figure(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    return figure, axes


def _save(figure: Figure, to: Path) -> Path:
    figure.savefig(to, dpi=_DPI)
    return to


def _roc(scored: Scored) -> Figure:
    figure, axes = _figure("ROC: fakes found against false alarms", "false-alarm rate", "recall of fakes")
    sources = [("all", scored), *((name, scored.of(name)) for name in sorted(set(scored.source.tolist())))]
    for name, part in sources:
        if part.both:
            alarms, recall, _ = roc_curve(part.fake, part.probability)
            axes.plot(alarms, recall, label=f"{name}: AUC {roc_auc_score(part.fake, part.probability):.3f}")
    axes.plot((0, 1), (0, 1), color="#999999", linestyle=":")
    axes.legend(loc="lower right")
    return figure


def _confusion(scored: Scored, threshold: float) -> Figure:
    counts = confusion(scored, threshold)
    figure, axes = _figure(f"Confusion matrix at {threshold:g}", "answer", "label")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (y, x), n in np.ndenumerate(counts):
        ink = "white" if shares[y, x] > 0.5 else "black"
        axes.text(x, y, f"{n:,}\n{shares[y, x]:.0%}", ha="center", va="center", color=ink)
    axes.set_xticks((0, 1), ("real", "fake"))
    axes.set_yticks((0, 1), ("real", "fake"))
    return figure


def _scores(scored: Scored, threshold: float) -> Figure:
    figure, axes = _figure("Scores", "fake_probability", "share of the faces")
    bins = [step / 40 for step in range(41)]
    for fake, colour in ((False, REAL), (True, FAKE)):
        values = scored.probability[scored.fake == fake]
        weights = np.full(len(values), 1 / max(len(values), 1))
        label = f"{'fake' if fake else 'real'} ({len(values):,})"
        axes.hist(values, bins, weights=weights, color=colour, alpha=0.6, label=label)
    axes.axvline(threshold, color="black", linestyle=":")
    axes.legend(loc="upper center")  # most scores are near 0 and 1
    return figure
