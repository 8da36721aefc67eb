"""Text that leaves the program: names from outside must neither steer a terminal nor be run by a spreadsheet."""

import re

LONGEST_LINE = 1600  # characters; a screen of 80 x 24 holds 1,920
LONGEST_VALUE = 100  # characters of one value inside a line

# Control characters, line and paragraph separators, marks that turn the direction of writing, and the surrogates that
# stand for bytes of a file name that is not UTF-8.
_CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSHOWN = re.compile(f"[{_CONTROLS}]")
_UNSHOWN_BUT_LAYOUT = re.compile(f"(?![\n\t])[{_CONTROLS}]")
_CODE = r"u(?:00[01][0-9a-f]|00[7][f]|00[89][0-9a-f]|202[89a-e]|206[6-9]|d[89a-f][0-9a-f]{2})"
_BACKSLASHES = re.compile(rf"\\+(?={_CODE}|[{_CONTROLS}])")  # that would be taken for a part of a code
_BACKSLASHES_AND_CODE = re.compile(rf"(\\+)({_CODE})")

_NOT_IN_FILES = re.compile(r'[<>:"/\\|?*\x00-\x1f]')  # of Windows, and `/` of all systems
_DEVICES = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(?= *(?:\.|$))", re.IGNORECASE)  # names that Windows keeps

_FORMULA = re.compile("'*[=+\\-@\uff1d\uff0b\uff0d\uff20]")  # Excel takes the wide forms for the narrow ones


def escaped(text: str, *, layout: bool = False) -> str:
    r"""Text in which every character that is not shown is written as its code: ESC is `\u001b`.

    A byte of a file name that is not UTF-8 (Python's surrogates) is a code too, so that the text is always UTF-8.

    Args:
        text: Any text.
        layout: Keep line breaks and tabs, for text of several lines.
    """
    return (_UNSHOWN_BUT_LAYOUT if layout else _UNSHOWN).sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str) -> str:
    """Text as one line that a screen holds: `escaped`, and cut in its middle, where the cut says what it leaves out."""
    return cut(escaped(text), LONGEST_LINE)


def cut(text: str, most: int = LONGEST_VALUE) -> str:
    """Text of at most about `most` characters; of a longer one the beginning and the end, which says what to do."""
    if len(text) <= most:
        return text
    head, tail = 2 * most // 3, most // 3
    return f"{text[:head]} ... ({len(text) - head - tail:,} more) ... {text[-tail:]}"


def some_of(words: list[str], most: int = 10) -> str:
    """The first words of a list for a message, and how many more there are."""
    listed = ", ".join(cut(word) for word in words[:most])
    return listed if len(words) <= most else f"{listed}, ... ({len(words) - most:,} more)"


def file_name(text: str) -> str:
    """A name as that of a file or folder under every system: `a:b` becomes `a-b`, `CON` becomes `CON_`.

    A name that is fine everywhere stays as it is.

    Args:
        text: A name without the ending of a file.
    """
    name = _NOT_IN_FILES.sub("-", text).rstrip(". ")
    return _DEVICES.sub(r"\1_", name, count=1) if _DEVICES.match(name) else name or "scan"


def table_cell(text: str) -> str:
    r"""Text for a cell of a table, which no spreadsheet takes for a formula; `cell_text` gives the same text back.

    A text that begins with `=`, `+`, `-` or `@` gets the apostrophe with which spreadsheets mark text. A character that
    is not shown is written as its code, and a backslash before what looks like a code is doubled.
    """
    coded = escaped(_BACKSLASHES.sub(lambda found: 2 * found[0], text))
    return f"'{coded}" if _FORMULA.match(coded) else coded


def cell_text(cell: str) -> str:
    """The text that `table_cell` made a cell of."""
    bare = cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
    return _BACKSLASHES_AND_CODE.sub(_decoded, bare)


def _decoded(found: re.Match[str]) -> str:
    """An odd backslash makes a code; the others stand for one in every two."""
    backslashes, code = found[1], found[2]
    return backslashes[: len(backslashes) // 2] + (chr(int(code[1:], 16)) if len(backslashes) % 2 else code)
