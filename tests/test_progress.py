"""Progress in a log file: a line a minute, nothing for short work, and a bar on a terminal."""

import io

import pytest
from rich.console import Console

from weakmask import progress
from weakmask.progress import MinuteLines, bar, collected_notes, note, track


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def run(clock: Clock, work: MinuteLines, steps: int, seconds_each: float, note: str = "") -> None:
    for _ in range(steps):
        clock.seconds += seconds_each
        work.advance(note=note)


def test_a_line_a_minute_says_how_far_and_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    run(clock, MinuteLines("training", 1000, clock=clock), 160, 1.0, "loss 0.1234")
    assert lines(capsys) == [
        "training 60/1000  0:15:40 left  loss 0.1234",
        "training 120/1000  0:14:40 left  loss 0.1234",
    ]


def test_work_of_less_than_a_minute_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    run(clock, MinuteLines("scans", 59, clock=clock), 59, 1.0)
    run(clock, MinuteLines("scans", 60, clock=clock), 60, 1.0)  # done at that very moment
    assert lines(capsys) == []


def test_steps_of_an_earlier_run_do_not_shorten_the_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    run(clock, MinuteLines("training", 1000, 900, clock), 1, 60.0)
    assert lines(capsys) == ["training 901/1000  1:39:00 left"]


def test_a_slow_step_is_one_line_and_notes_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    run(clock, MinuteLines("scans", 3, clock=clock), 1, 300.0, "[bold]scan [1]")
    assert lines(capsys) == ["scans 1/3  0:10:00 left  [bold]scan [1]"]


def test_bars_and_tracked_items_print_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0)
    assert list(track("abc", "letters", 3)) == ["a", "b", "c"]
    with bar("steps", 10, 4) as advance:
        advance(steps=2, note="loss 1")
    assert [line.partition("  ")[0] for line in lines(capsys)] == ["letters 1/3", "letters 2/3", "steps 6/10"]


def test_a_terminal_has_a_bar_and_no_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0)
    monkeypatch.setattr(progress, "console", Console(file=shown, force_terminal=True, width=100))
    assert list(track("abc", "letters", 3)) == ["a", "b", "c"]
    assert "letters" in shown.getvalue()
    assert "3/3" in shown.getvalue()
    assert "2/3  " not in shown.getvalue().replace("\x1b", "")


def test_notes_are_printed_once_or_collected(capfd):
    note("a note of this test")
    note("a note of this test")
    with collected_notes() as lines:
        note("another")
        with collected_notes() as inner:
            note("third")
        note("a note of this test")
    assert lines == ["another", "a note of this test"]
    assert inner == ["third"]
    assert capfd.readouterr().err.splitlines() == ["note a note of this test"]
