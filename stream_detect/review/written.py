"""Where results of the command line go: findings enter one by one; JSON lines, CSV and an HTML page leave."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, TextIO

from stream_detect.errors import StorageError
from stream_detect.review.batch import Finding
from stream_detect.review.lines import CSV_HEAD, csv_lines, json_parts
from stream_detect.review.report import csv_line, html_page, html_problem, html_section
from stream_detect.review.reviewed import Reviewed

STDOUT = "-"

Take = Callable[[Finding], None]


@contextmanager
def outputs(json_to: str | None, csv_to: str | None, html_to: Path | None) -> Iterator[Take]:
    """What takes findings, in order, and writes them where they are wanted.

    Args:
        json_to: file, or "-"; None for none.
        csv_to: likewise.
        html_to: file.

    Raises:
        StorageError: a file cannot be written.
    """
    takes: list[Take] = []
    with ExitStack() as stack:
        if json_to is not None:
            lines = stack.enter_context(_opened(json_to))
            takes.append(lambda finding: lines.writelines(json_parts(finding)))
        if csv_to is not None:
            table = stack.enter_context(_opened(csv_to))
            table.write(csv_line(CSV_HEAD))
            takes.append(lambda finding: table.writelines(csv_lines(finding)))
        if html_to is not None:
            takes.append(stack.enter_context(_page(html_to)))

        def take(finding: Finding) -> None:
            for each in takes:
                each(finding)

        yield take


@contextmanager
def _page(to: Path) -> Iterator[Take]:
    with _opened(str(to)) as page:
        begin, end = html_page(("",), to.stem), ""
        page.write(next(begin))

        def take(finding: Finding) -> None:
            page.write(_section(finding))

        yield take
        end = "".join(begin)
        page.write(end)


def _section(finding: Finding) -> str:
    if finding.reviewed is None:
        return html_problem(finding.given.name, finding.problem)
    results = json.loads(finding.reviewed.as_json("", finding.upload))
    return html_section(results, pictures_of(finding.reviewed))


def pictures_of(reviewed: Reviewed) -> Callable[[str, int, Literal["picture", "map"]], bytes | None]:
    """The pictures that a report shows."""

    def picture(model: str, n: int, kind: Literal["picture", "map"]) -> bytes | None:
        flagged = reviewed.flagged[model][n - 1]
        return flagged.picture if kind == "picture" else flagged.heat_map

    return picture


@contextmanager
def _opened(to: str) -> Iterator[TextIO]:
    if to == STDOUT:
        yield sys.stdout
        sys.stdout.flush()
        return
    try:
        with Path(to).open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise StorageError(f"{to} cannot be written: {error.strerror}") from error
