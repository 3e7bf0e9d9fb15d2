"""`make bench-cameras`: measures the watching of RTSP cameras; prints a table, writes JSON.

Each round runs every part once: eight cameras and one large one with nobody watching, beside the floor in the same
minute (`load.py`, `floor.py`); viewers of one camera (`audience.py`); outages (`outages.py`). `--full` also lets
cameras be killed, frozen and started again at random for half an hour (`turmoil.py`). All servers are processes of
their own with default settings, cameras are a real RTSP server (tests/rtsp) which sends films that were encoded
before. What each figure is stands in `camera_figures.py`.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audience import Audience, audience, summary
from camera_figures import DEFINITIONS, Definition, Part, Round, growth_figures, round_figures
from figures import Figure, plain
from load import Load, load
from outages import Outages, outages
from rich.console import Console
from tables import figure_table, machine, print_tables, void_reasons, write_report
from turmoil import turmoil

FULL_MIN = 30.0
GROWTH = "growth_percent"


def main() -> int:
    """Run what was asked for; 1 when a figure is void."""
    options = parse()
    wanted = [each for each in DEFINITIONS if options.only in {None, each.key}]
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="stream-detect-bench-") as name:
        folder = Path(name)
        rounds = list(play(wanted, options, folder, console))
        figures = round_figures(rounds, wanted)
        if options.turmoil:
            figures += growth_figures(turmoil(options.turmoil, folder, console.print), options.turmoil)
    finish(figures, rounds, options)
    return void_reasons(figures, console)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    keys = [*(each.key for each in DEFINITIONS), GROWTH]
    parser.add_argument("--only", choices=keys, metavar="NAME", help=f"one figure: {', '.join(keys)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20, metavar="S", help="length of each window")
    parser.add_argument("--warm", type=float, default=8, metavar="S", help="before each window")
    parser.add_argument("--turmoil", type=float, default=0, metavar="MINUTES", help="also memory over so long")
    parser.add_argument("--full", action="store_true", help=f"with {FULL_MIN:.0f} minutes of it")
    options = parser.parse_args()
    if options.full or options.only == GROWTH:
        options.turmoil = options.turmoil or FULL_MIN
    return options


def play(wanted: Sequence[Definition], options: argparse.Namespace, folder: Path, console: Console) -> Iterator[Round]:
    """Rounds of the parts that the wanted figures need."""
    needed = [part for part in Part if any(part in each.parts for each in wanted)]
    for number in range(options.rounds if needed else 0):
        one = {}
        for part in needed:
            one[part] = observe(part, folder, options.warm, options.seconds)
            console.print(f"round {number + 1} of {options.rounds}: {part}: {row(one[part])}")
        yield one


def observe(part: Part, folder: Path, warm_s: float, seconds: float) -> Load | Audience | Outages:
    """One part of a round."""
    match part:
        case Part.EIGHT_VGA:
            return load("face", 8, folder, warm_s, seconds)
        case Part.ONE_HD:
            return load("1080p", 1, folder, warm_s, seconds)
        case Part.AUDIENCE:
            return audience(folder, warm_s, seconds)
        case Part.OUTAGES:
            return outages(folder)


def row(observed: Load | Audience | Outages) -> dict[str, Any]:
    """What was observed, for the file."""
    match observed:
        case Load():
            values: dict[str, Any] = {
                "server_cpu": observed.server_cpu_s / observed.seconds,
                "floor_cpu": observed.floor_cpu_s / observed.seconds,
                "over_floor": observed.over_floor,
                "missed_samples": observed.missed_samples,
            }
        case Audience():
            values = dict(summary(observed))
        case Outages():
            values = asdict(observed)
    return {key: plain(value) if isinstance(value, float) else value for key, value in values.items()}


def finish(figures: Sequence[Figure], rounds: Sequence[Round], options: argparse.Namespace) -> None:
    """Print and write."""
    print_tables(figure_table(figures))
    if options.json:
        observed = [{"part": part, **row(one[part])} for one in rounds for part in one]
        setting = {"rounds": options.rounds, "window_s": options.seconds, "warm_s": options.warm, **machine()}
        write_report(options.json, figures, observations=observed, setting=setting)


if __name__ == "__main__":
    sys.exit(main())
