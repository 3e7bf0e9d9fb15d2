"""`make bench-training`: how fast each installed Keras backend trains a network; prints a table, writes JSON.

Each backend trains the network for some seconds (a minute if not given) on one batch of random crops, in a process of
its own, one after the other; the first step, which compiles, is not counted. Wall time says what a training takes on
this machine; processor time is less disturbed by other programs.

- images_per_s_BACKEND: faces a second.
- images_per_cpu_s_BACKEND: faces a second of processor time.
- BACKEND_over_tensorflow: the first of that backend / of TensorFlow.

Backends: tensorflow and jax in channels_last and f32, torch (in channels_first and mixed_bfloat16, as the recipes set
it, and torch_f32 in channels_first and f32).
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from figures import Figure
from rich.console import Console
from tables import figure_table, machine, print_tables, void_reasons, write_report

from stream_detect.training.recipe import Recipe

SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Variant:
    """A backend and what it computes in."""

    backend: str
    changes: Mapping[str, str]


VARIANTS = {
    "tensorflow": Variant("tensorflow", {}),
    "jax": Variant("jax", {}),
    "torch_f32": Variant("torch", {"data_format": "channels_first"}),
    "torch": Variant("torch", {"data_format": "channels_first", "precision": "mixed_bfloat16"}),
}


def main() -> int:
    """Run what was asked for; 1 when a figure is void."""
    options = parse()
    if options.child:
        print(json.dumps(trained(options.child, options)))
        return 0
    console = Console(stderr=True)
    speeds: dict[str, tuple[float, float]] = {}
    for name, variant in VARIANTS.items():
        if find_spec(variant.backend) is None:
            console.print(f"{name}: {variant.backend} is not installed")
            continue
        console.print(f"{name}: {options.seconds:g} s")
        speeds[name] = in_a_process(name, variant, options)
    figures = figures_of(speeds)
    print_tables(figure_table(figures))
    if options.json:
        setting = {"architecture": options.architecture, "batch": options.batch, "seconds": options.seconds}
        write_report(options.json, figures, setting={**machine(), **setting})
    return void_reasons(figures, console)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each backend")
    parser.add_argument("--architecture", default="efficientnet_lite0", help="network")
    parser.add_argument("--batch", type=int, default=32, help="faces a batch")
    parser.add_argument("--child", choices=tuple(VARIANTS), help=argparse.SUPPRESS)
    return parser.parse_args()


def in_a_process(name: str, variant: Variant, options: argparse.Namespace) -> tuple[float, float]:
    """Faces a second, and a second of processor time, of one variant."""
    command = [sys.executable, __file__, "--child", name, "--seconds", f"{options.seconds}"]
    command += ["--architecture", options.architecture, "--batch", f"{options.batch}"]
    surroundings = os.environ | {"KERAS_BACKEND": variant.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    child = subprocess.run(command, env=surroundings, stdout=subprocess.PIPE, text=True, check=True)
    wall, cpu = json.loads(child.stdout.splitlines()[-1])
    return float(wall), float(cpu)


def trained(name: str, options: argparse.Namespace) -> tuple[float, float]:
    """Train in this process."""
    from stream_detect.training.architectures import architecture_named  # noqa: PLC0415 - the backend is chosen by now
    from stream_detect.training.train import compiled, targets  # noqa: PLC0415

    network = architecture_named(options.architecture)
    recipe = Recipe(options.architecture, batch=options.batch, **VARIANTS[name].changes)  # type: ignore[arg-type]
    model = compiled(recipe, network, network.wh, begun=False)
    shape = (recipe.batch, network.wh[1], network.wh[0], 3)
    crops = network.scaled(np.random.default_rng(1).integers(0, 256, shape, np.uint8))
    wanted = targets(np.tile(np.array((1, 0), np.float32), recipe.batch // 2), network)
    model.train_on_batch(crops, wanted)
    steps, begun_s, begun_cpu_s = 0, time.perf_counter(), time.process_time()
    while steps == 0 or time.perf_counter() - begun_s < options.seconds:
        model.train_on_batch(crops, wanted)
        steps += 1
    faces = steps * recipe.batch
    return faces / (time.perf_counter() - begun_s), faces / (time.process_time() - begun_cpu_s)


def figures_of(speeds: Mapping[str, tuple[float, float]]) -> list[Figure]:
    """The figures of the variants that were measured."""
    figures: list[Figure] = []
    for name, (wall, cpu) in speeds.items():
        figures.append(Figure(f"images_per_s_{name}", "faces trained on a second", "/s", None, (wall,)))
        figures.append(Figure(f"images_per_cpu_s_{name}", "faces a second of processor time", "/s", None, (cpu,)))
        if name != "tensorflow" and "tensorflow" in speeds:
            ratio = wall / speeds["tensorflow"][0]
            figures.append(Figure(f"{name}_over_tensorflow", "speed beside TensorFlow's", "", None, (ratio,)))
    return figures


if __name__ == "__main__":
    sys.exit(main())
