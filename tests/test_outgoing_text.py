"""Text that leaves the program: nothing in it steers a terminal, is run by a spreadsheet, or fills the screen."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from weakmask.errors import UserError
from weakmask.outgoing_text import LONGEST_LINE, cell_text, cut, escaped, file_name, one_line, some_of, table_cell

# every character, surrogates too: a file name that is not UTF-8 has them
TEXT = st.text(st.characters(exclude_categories=())) | st.text("\\u0001b'=+-@\x1b\n\t\udcffd8", max_size=20)


@settings(max_examples=300)
@example("\\\x1b")
@example("\\u001b")
@example("\\\\u001b")
@example("'=1")
@example("''=1")
@given(TEXT)
def test_a_cell_is_harmless_and_reads_back_equal(text: str) -> None:
    cell = table_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell.isprintable() or not any(ord(character) < 32 or ord(character) == 127 for character in cell)
    cell.encode()  # no surrogate is left
    assert cell_text(cell) == text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' C'!A0", "\uff1d1", "'=1"])
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert table_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["patient 7", "M\u00fcller", "a-b", "C:\\new\\table", "'quoted'", "1.5", "\u65e5\u672c"]
)
def test_other_text_is_written_as_it_is(text: str) -> None:
    assert table_cell(text) == text
    assert escaped(text) == text


def test_what_is_not_shown_is_written_as_its_code() -> None:
    assert escaped("\x1b[2Ja\nb\x9bc\u202ed\udcff") == "\\u001b[2Ja\\u000ab\\u009bc\\u202ed\\udcff"
    assert escaped("a\n\tb\r", layout=True) == "a\n\tb\\u000d"


def test_a_long_line_is_cut_in_its_middle() -> None:
    line = one_line("first " + "x" * 1_400_000 + "; do this")
    assert len(line) < LONGEST_LINE + 40
    assert line.startswith("first xxx")
    assert line.endswith("xxx; do this")
    assert f"... ({1_400_015 - 1599:,} more) ..." in line
    assert cut("short") == "short"
    assert some_of([str(number) for number in range(12)], 3) == "0, 1, 2, ... (9 more)"


def test_a_user_s_mistake_is_one_line_whatever_the_names() -> None:
    error = UserError("cohort/a\nb\x1b[2J: no such file" + 5000 * "!")
    assert "\n" not in str(error)
    assert "\x1b" not in str(error)
    assert len(str(error)) < LONGEST_LINE + 40


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("p1_CT", "p1_CT"), ("Müller 1", "Müller 1"), ("a:b|c?*<>", "a-b-c----"), ("a/b\\c", "a-b-c"), ("CON", "CON_"),
        ("nul.v2", "nul_.v2"), ("com1 .x", "com1_ .x"), ("console", "console"), ("com10", "com10"), ("x. .", "x"),
        ("...", "scan"), ("a\x00\n", "a--"),
    ],
)  # fmt: skip
def test_a_file_name_is_one_under_every_system(name: str, expected: str) -> None:
    assert file_name(name) == expected
    assert file_name(expected) == expected
