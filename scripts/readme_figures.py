"""Puts the figures that `make bench` measured into the README.

make bench && .venv/bin/python scripts/readme_figures.py build/live.json
"""

import json
import sys
from pathlib import Path
from typing import Any

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- figures: scripts/readme_figures.py -->", "<!-- /figures -->"
MET = {True: "yes", False: "**no**", None: ""}


def main(path: Path) -> None:
    """Write the table between the README's two marks."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    report = json.loads(path.read_text(encoding="utf-8"))
    README.write_text(f"{before}{BEGIN}\n\n{render(report)}\n\n{END}{after}", encoding="utf-8")


def render(report: dict[str, Any]) -> str:
    """A Markdown table of the report's figures, and where they were measured."""
    figures = {key: one for key, one in report.items() if isinstance(one, dict) and "value" in one}
    rows = [
        f"| {one['what']} | {_value(one)} | {one['target'] or ''} | {MET[one['met']]} |" for one in figures.values()
    ]
    setting = report["setting"]
    where = (
        f"Measured by `make bench`: {setting['rounds']} rounds of {setting['window_s']:g} s windows, "
        f"{setting['processors']} processors ({setting['machine']}), clip {setting['clip']}, 640x480 at 30 fps, "
        "side by side with a stock aiortc echo server."
    )
    return "\n".join(("| figure | median | wanted | met |", "|---|---|---|---|", *rows, "", where))


def _value(figure: dict[str, Any]) -> str:
    if figure["void"] or figure["value"] is None:
        return "void"
    return f"{figure['value']:.2f} {figure['unit']}".rstrip()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
