"""What a face costs: every bundle's network on one thread, in every precision it has, beside the `streamnet` network.

All networks take turns in each round, so that noise hits them alike; a figure is the 20th percentile of the rounds.
Hold the ratios to `streamnet`, which has random weights: a machine's own speed cancels out of them.

    python benchmarks/models.py --json build/models.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from stream_detect.models.backend import Precision, load_model
from stream_detect.models.bundle import Bundle
from stream_detect.models.openvino import OpenVinoModel, has_bf16, has_vnni
from stream_detect.models.registry import Registry

REFERENCE = "streamnet"
PERCENTILE = 20
"""Of the rounds: what a call takes when nothing else wants the core."""
TARGETS_MS = {"f32": 6.0, "bf16": 3.2, "int8": 2.0}

_MAKING = """import sys
from pathlib import Path
from stream_detect.training.convert import write_bundle
from stream_detect.training.card import draft_card
from stream_detect.training.recipe import Recipe
from stream_detect.training.architectures import architecture_named
from stream_detect.types import CropPolicy
known = architecture_named(sys.argv[1])
card = draft_card("reference", Recipe(sys.argv[1]), "random weights", CropPolicy(known.wh))
write_bundle(known.build(known.wh, known.dropout), card, Path(sys.argv[2]) / "reference")"""


@dataclass(frozen=True, slots=True)
class Price:
    """What one bundle costs.

    Args:
        name: of the bundle.
        architecture: of its network.
        ms_f32: milliseconds a face.
        ms_bf16: None on a processor without bf16.
        ms_int8: None where the bundle has no INT8 network.
        ratio_f32: of ms_f32 to that of the reference.
        ratio_bf16: of ms_bf16 to that of the reference; None where it has none.
        ratio_int8: of ms_int8 to the reference in f32; None where it has none.
    """

    name: str
    architecture: str
    ms_f32: float
    ms_bf16: float | None
    ms_int8: float | None
    ratio_f32: float
    ratio_bf16: float | None
    ratio_int8: float | None


def main() -> int:
    """Measures, prints a table, and writes the JSON."""
    options = _options()
    registry = Registry.of(options.folder)
    bundles = [registry.load(name) for name in registry.names()]
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, "-c", _MAKING, REFERENCE, scratch], check=True)
        reference = Bundle.load(Path(scratch) / "reference")
        measured = _measured([reference, *bundles], options.rounds)
    prices = [_price(bundle, measured) for bundle in (reference, *bundles)]
    for price in prices:
        figures = (price.ms_f32, price.ms_bf16, price.ms_int8, price.ratio_f32, price.ratio_bf16, price.ratio_int8)
        print(f"{price.name:20} {price.architecture:20}", *(f"{'-' if x is None else f'{x:.2f}':>6}" for x in figures))
    print(f"{'':41} ms in f32, bf16, int8; ratios to {REFERENCE} in f32, bf16, and int8 to its f32")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(_json(prices, options.rounds), encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="further bundles, like model.folder")
    parser.add_argument("--rounds", type=int, default=60, help="of all networks in turn (60)")
    return parser.parse_args()


def _precisions(bundle: Bundle) -> tuple[Precision, ...]:
    """Those that the processor and the bundle have."""
    return ("f32", *(("bf16",) if has_bf16() else ()), *(("int8",) if bundle.card.int8 else ()))


def _measured(bundles: list[Bundle], rounds: int) -> dict[tuple[str, str], float]:
    """Milliseconds a face, by the bundle's name and the precision."""
    calls = {
        (bundle.card.name, precision): _call(bundle, precision)
        for bundle in bundles
        for precision in _precisions(bundle)
    }
    took: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for round_ in range(rounds + 3):
        for key, call in calls.items():
            begun_s = time.perf_counter()
            call()
            if round_ >= 3:  # the first ones find cold caches
                took[key].append(1000 * (time.perf_counter() - begun_s))
    return {key: float(np.percentile(each, PERCENTILE)) for key, each in took.items()}


def _call(bundle: Bundle, precision: Precision) -> Callable[[], object]:
    given = bundle.card.input
    crop = np.random.default_rng(1).integers(0, 256, (1, given.height_px, given.width_px, 3), np.uint8)
    model = load_model(bundle, "openvino", precision=precision)
    assert isinstance(model, OpenVinoModel)  # noqa: S101 - what the backend's name says
    classifier = model.classifier()
    return lambda: classifier.predict(crop)


def _price(bundle: Bundle, measured: dict[tuple[str, str], float]) -> Price:
    def ms(precision: str, name: str = bundle.card.name) -> float | None:
        value = measured.get((name, precision))
        return None if value is None else round(value, 3)

    def ratio(precision: str, to: str) -> float | None:
        ours, theirs = measured.get((bundle.card.name, precision)), measured.get(("reference", to))
        return None if ours is None or theirs is None else round(ours / theirs, 3)

    return Price(
        name=bundle.card.name,
        architecture=bundle.card.architecture,
        ms_f32=ms("f32") or 0.0,
        ms_bf16=ms("bf16"),
        ms_int8=ms("int8"),
        ratio_f32=ratio("f32", "f32") or 0.0,
        ratio_bf16=ratio("bf16", "bf16"),
        ratio_int8=ratio("int8", "f32"),
    )


def _json(prices: list[Price], rounds: int) -> str:
    reference, *shipped = (asdict(price) for price in prices)
    content = {
        "rounds": rounds,
        "percentile": PERCENTILE,
        "bf16": has_bf16(),
        "vnni": has_vnni(),
        "targets_ms": TARGETS_MS,
        "reference": reference,
        "bundles": {price["name"]: price for price in shipped},
    }
    return json.dumps(content, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main())
