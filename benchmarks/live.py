"""`make bench`: measures the live check beside a stock aiortc echo server; prints a table, writes JSON.

Each round runs every scene once, the servers in turn (ours, echo in VP8, echo in H.264; with one viewer, then with
four), each in a fresh process. A figure is the median over the rounds. Viewers are processes of their own which send a
ready-made clip and decode next to nothing: only the server's processes count. What each figure is stands in
`figures.py`, what makes one void in `stream.py` and `scene.py`.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from clip import DEFAULT_CLIP, Codec, encode_clip, save_clip
from figures import DEFINITIONS, SCENES, Definition, Figure, Round, growth_figures, plain, ready_figure, round_figures
from rich.console import Console
from rich.table import Table
from scene import Observation, Stage, observe
from servers import ServerKind, running
from soak import soak
from tables import figure_table, machine, print_tables, void_reasons, write_report

STARTS = 5
FULL_SOAK_MIN = 10.0


def main() -> int:
    """Run what was asked for; 1 when a figure is void."""
    options = parse()
    wanted = [each for each in DEFINITIONS if options.only in {None, each.key}]
    console = Console(stderr=True)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="stream-detect-bench-") as name:
        stage = Stage(Path(name), dict(options.set), options.warm, options.seconds)
        for codec in get_args(Codec):
            save_clip(stage.folder / f"clip-{codec}.npz", encode_clip(codec, options.clip))
        rounds = list(play(wanted, options.runs, stage, console))
        figures += round_figures(rounds, wanted)
        if options.only in {None, "ready_s"}:
            figures.append(ready_figure(tuple(start(stage, console) for _ in range(STARTS))))
        if options.soak:
            figures += growth_figures(soak(options.soak, stage, console.print))
    print_tables(scene_table(rounds), figure_table(figures))
    if options.json:
        rows = [row(observation) for one in rounds for observation in one.values()]
        write_report(options.json, figures, observations=rows, setting=setting(options))
    return void_reasons(figures, console)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--clip", type=Path, default=DEFAULT_CLIP, help="a talking head (the astronaut when absent)")
    parser.add_argument("--runs", type=int, default=3, help="rounds")
    parser.add_argument("--warm", type=float, default=8, metavar="S", help="before each window")
    parser.add_argument("--seconds", type=float, default=20, metavar="S", help="length of each window")
    keys = [*(each.key for each in DEFINITIONS), "ready_s"]
    parser.add_argument("--only", choices=keys, metavar="NAME", help=f"one figure: {', '.join(keys)}")
    parser.add_argument("--soak", type=float, default=0, metavar="MINUTES", help="also let viewers come and go so long")
    parser.add_argument(
        "--set", action="append", type=setting_of, default=[], metavar="SECTION__KEY=VALUE", help="a setting of ours"
    )
    parser.add_argument("--full", action="store_true", help=f"with a soak of {FULL_SOAK_MIN:.0f} minutes")
    parser.add_argument("--quick", action="store_true", help="one round of short windows: does it work?")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.warm, options.seconds = 1, 5.0, 6.0
    if options.full:
        options.soak = options.soak or FULL_SOAK_MIN
    return options


def setting_of(text: str) -> tuple[str, str]:
    """Name and value of a setting on the command line."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected SECTION__KEY=VALUE, received {text!r}")
    return name.upper(), value


def play(wanted: list[Definition], runs: int, stage: Stage, console: Console) -> Iterable[Round]:
    """Rounds of the scenes that the wanted figures need."""
    needed = {scene for each in wanted for scene in each.scenes}
    for number in range(runs if needed else 0):
        one = {}
        for scene in SCENES:
            if scene in needed:
                one[scene] = observe(scene, stage)
                console.print(f"round {number + 1} of {runs}: {scene.name}: {one[scene].cpu_per_stream:.1%} of a core")
        yield one


def start(stage: Stage, console: Console) -> float:
    """Seconds that our server takes to be ready."""
    with running(ServerKind.OURS, stage.folder, stage.settings) as server:
        console.print(f"ready after {server.ready_s:.2f} s")
        return server.ready_s


def row(observation: Observation) -> dict[str, Any]:
    """One scene of one round, as a row of the table and of the file."""
    return {
        "scene": observation.scene.name,
        "cpu_percent_per_stream": round(100 * observation.cpu_per_stream, 1),
        "fps": [round(stream.returned_hz, 2) for stream in observation.streams],
        "kbps": [round(stream.returned_kbps) for stream in observation.streams],
        "round_trip_p50_ms": plain(observation.percentile_ms("round_trip_ms", 50), 1),
        "round_trip_p95_ms": plain(observation.percentile_ms("round_trip_ms", 95), 1),
        "rss_mb": round(observation.rss_mb, 1),
        "void": list(observation.void),
    }


def setting(options: argparse.Namespace) -> dict[str, Any]:
    """Where and with what it was measured."""
    return {
        "clip": options.clip.name if options.clip.is_file() else "skimage.data.astronaut()",
        "settings": dict(options.set),
        "rounds": options.runs,
        "window_s": options.seconds,
        "warm_s": options.warm,
        **machine(),
    }


def scene_table(rounds: list[Round]) -> Table:
    """Every scene of every round."""
    table = Table(title="Scenes, 640x480 at 30 fps, one face", title_justify="left")
    for heading in ("scene", "% of a core a stream", "fps", "kbit/s back", "ms there and back, p50", "p95", "MiB"):
        table.add_column(heading, justify="left" if heading == "scene" else "right")
    for one in rounds:
        for observation in one.values():
            cells = row(observation)
            table.add_row(
                cells["scene"],
                str(cells["cpu_percent_per_stream"]),
                f"{min(cells['fps'])}",
                f"{min(cells['kbps'])}",
                str(cells["round_trip_p50_ms"]),
                str(cells["round_trip_p95_ms"]),
                str(cells["rss_mb"]),
            )
    return table


if __name__ == "__main__":
    sys.exit(main())
