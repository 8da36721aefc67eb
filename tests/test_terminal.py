"""What the command line prints: text from outside as text, and no traceback where a stream cannot be written."""

import errno
import io
import sys
from typing import Never

import pandas as pd
import pytest
from rich.table import Table

from weakmask import cli
from weakmask.datasets.case import Fault
from weakmask.errors import MachineError
from weakmask.screen import print_checked, print_faults, print_summary
from weakmask.terminal import MOST_LINES, err, out, print_line, say, sum_up

HOSTILE = "[bold]x[/] [/y] \x1b[2Ja\nb\udcff"
SHOWN = "[bold]x[/] [/y] \\u001b[2Ja\\u000ab\\udcff"


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, _: str) -> Never:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_text_from_outside_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    say("note", HOSTILE)
    print_line(HOSTILE)
    print_summary(pd.DataFrame({"scan": [HOSTILE], HOSTILE: [0.5]}))
    print_faults([Fault(HOSTILE, "scores.csv", HOSTILE, fatal=True)])
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [f"note {SHOWN}", f"left out {SHOWN}"]
    assert shown.out.count(SHOWN) == 3
    assert "\x1b" not in shown.out + shown.err


def test_whatever_prints_no_control_character_gets_through(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("name")
    table.add_row("\x1b]0;title\x07\udc80")
    out.print(table)
    shown = capsys.readouterr().out
    assert "\\u001b" in shown
    assert not {"\x1b", "\x07", "\udc80"} & set(shown)


def test_json_keeps_every_name(capsys: pytest.CaptureFixture[str]) -> None:
    print_checked(["a\x1b\x7f\n\udcff"], [])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert '"a\\u001b\\u007f\\n\\udcff"' in shown


def test_thousands_of_faults_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"p{number}" for number in range(1500)]
    faults = [
        Fault(name, f"{folder}/{name}", f"{folder}/{name}: no such file; add {folder}/{name}.nii.gz", fatal=True)
        for name in names
        for folder in ("images", "regions")
    ]
    print_faults([*faults, Fault("", "scores.csv", "scores.csv: the column 'age' is ignored", fatal=False)])
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        *(f"left out images/p{k}: no such file; add images/p{k}.nii.gz" for k in range(3)),
        "left out ... (1,497 more of this kind)",
        *(f"left out regions/p{k}: no such file; add regions/p{k}.nii.gz" for k in range(3)),
        "left out ... (1,497 more of this kind)",
        "left out 3000 lines in all; `weakmask check --json` lists them",
        "note scores.csv: the column 'age' is ignored",
    ]


def test_a_long_list_of_all_kinds_ends_within_a_screen() -> None:
    lines = [f"line {number}" for number in range(1000)]
    shown = sum_up(lines, lines)
    assert len(shown) == MOST_LINES + 1
    assert shown[-1] == "... (976 more of other kinds)"
    assert sum_up(lines[:MOST_LINES], lines[:MOST_LINES]) == lines[:MOST_LINES]


def test_a_full_disk_behind_the_output_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(
        MachineError, match="cannot print to the standard output: No space left on device; the work is do"
    ):
        print_line("result")
    monkeypatch.setattr(sys, "stdout", Full())
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(sys, "argv", ["weakmask", "--version"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert errors.getvalue().count("\n") == 1


def test_work_goes_on_where_notes_cannot_be_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())
    say("note", "nobody reads this")
    monkeypatch.setattr(sys, "stderr", None)
    say("note", "nor this")
    monkeypatch.setattr(sys, "stdout", None)
    print_line("nor this")
    assert not err.is_terminal
