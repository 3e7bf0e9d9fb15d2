"""Progress of `analyze`: bars on a terminal, plain lines elsewhere."""

import io
from types import SimpleNamespace

from stream_detect.cli import progress as terminal
from stream_detect.cli.progress import reporting

NAMES = ["a.mp4", "b.mp4", "[c]" + "x" * 60 + ".mp4"]


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_bars_come_and_go_and_lines_stay():
    screen, lines = Screen(), Screen()
    with reporting(NAMES, lines, screen) as reporter:
        for number, name in enumerate(NAMES):
            for share in (0.0, 0.5, 1.0, 0.7):
                reporter.share(number, share)
            reporter.done(number, f"REAL 0.10 {name}")
        assert not reporter._bars
        assert reporter._progress.tasks[0].completed == 3
    assert all(f"REAL 0.10 {name}" in screen.getvalue() for name in NAMES)


def test_lines_go_where_they_are_wanted():
    screen, lines = Screen(), io.StringIO()
    with reporting(NAMES, lines, screen) as reporter:
        reporter.done(0, "FAKE 0.95 a.mp4")
    assert lines.getvalue() == "FAKE 0.95 a.mp4\n"
    assert "FAKE" not in screen.getvalue()


def test_plain_lines_say_now_and_then_how_long_it_takes(monkeypatch):
    clock = SimpleNamespace(now_s=100.0, monotonic=lambda: clock.now_s)
    monkeypatch.setattr(terminal, "time", clock)
    screen, lines = io.StringIO(), io.StringIO()
    with reporting(NAMES, lines, screen) as reporter:
        for step in range(1, 10):
            reporter.share(0, step / 10)
            clock.now_s += 5
        reporter.done(0, "REAL 0.10 a.mp4")
    progress = screen.getvalue().splitlines()
    assert progress == ["a.mp4: 40%, about 22 s left", "a.mp4: 70%, about 13 s left"]
    assert lines.getvalue() == "REAL 0.10 a.mp4\n"
