"""Writes the figures that the benchmarks measured to docs/performance.md.

make bench bench-cameras bench-review
.venv/bin/python scripts/readme_figures.py build/live.json build/cameras.json build/review.json
"""

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: scripts/readme_figures.py -->", "<!-- /figures -->"
COLUMNS = 100
"""Width of the documents."""
MET = {True: "yes", False: "**no**", None: ""}
PARTS = {
    "live": ("Live check", "`make bench`: compared with a stock aiortc echo server, 640x480 at 30 fps"),
    "cameras": ("Cameras", "`make bench-cameras`: real RTSP, compared with the floor"),
    "review": (
        "Files",
        "`make bench-review`: compared with the floor, and with the method of the projects that this one grew out of",
    ),
}
"""Heading and description of each benchmark, by the name of its file."""


def main(files: list[Path]) -> None:
    """Write the tables between the document's two marks."""
    text = DOCUMENT.read_text(encoding="utf-8")
    if not -1 < text.find(BEGIN) < text.find(END):
        sys.exit(f"expected {BEGIN} and then {END} in {DOCUMENT}; add both where the tables belong")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = [render(PARTS[file.stem], json.loads(file.read_text(encoding="utf-8"))) for file in files]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{chr(10).join(tables)}\n{END}{after}", encoding="utf-8")


def render(part: tuple[str, str], report: dict[str, Any]) -> str:
    """A Markdown table of the report's figures, and where they were measured."""
    heading, how = part
    figures = {key: one for key, one in report.items() if isinstance(one, dict) and "value" in one}
    rows = [
        f"| {one['what']} | {_value(one)} | {one['target'] or ''} | {MET[one['met']]} |" for one in figures.values()
    ]
    setting = report["setting"]
    where = f"{how}. Rounds: {setting['rounds']}; {setting['processors']} processors ({setting['machine']})."
    wrapped = textwrap.fill(where, COLUMNS, break_long_words=False, break_on_hyphens=False)
    return "\n".join(
        (f"### {heading}", "", "| figure | median | wanted | met |", "|---|---|---|---|", *rows, "", wrapped, "")
    )


def _value(figure: dict[str, Any]) -> str:
    if figure["void"] or figure["value"] is None:
        return "void"
    return f"{figure['value']:.2f} {figure['unit']}".rstrip()


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
