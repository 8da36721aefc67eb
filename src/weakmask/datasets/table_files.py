"""The lines of a table file: CSV of any spreadsheet and language, or the first sheet of an Excel file."""

import csv
import io
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from weakmask.errors import MachineError, UserError, refuse_machine_fault
from weakmask.outgoing_text import cell_text

Lines = list[tuple[int, list[str]]]

DELIMITERS = ",;\t"
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t]*\r?\n?', re.IGNORECASE)  # for Excel, as the first line
MOST_BYTES = 256 << 20  # of a table, unpacked
ODD_BLANKS = "\ufeff\u200b"  # a byte order mark in the middle, a blank of no width


def read_lines(path: Path, example: str) -> tuple[Lines, list[str]]:
    """(line number, cells) of every line that is not blank, and notes on how the file was read.

    Args:
        path: A .csv, or an .xlsx of which the first sheet counts.
        example: An example of a table, for messages.

    Raises:
        UserError: No such file, or it holds no table.
    """
    if path.exists() and not path.is_file():
        kind = "Is a directory" if path.is_dir() else "not a regular file"
        raise UserError(f"{path}: {kind}; {example}")
    notes: list[str] = []
    lines = _from_sheet(path, example) if path.suffix == ".xlsx" else _from_text(path, example, notes)
    return [(number, cells) for number, cells in lines if any(cells)], notes


def _from_text(path: Path, example: str, notes: list[str]) -> Lines:
    """(line number, cells) of every line of a CSV file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        refuse_machine_fault(error, path)
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise UserError(f"{path}: {reason}; {example}") from error
    text = _decoded(content, path, notes)
    if "\0" in text:
        raise UserError(f"{path}: a binary file, not a table; save it as CSV UTF-8")
    stated = SEPARATOR_LINE.match(text)
    body = text[stated.end() :] if stated else text
    delimiter = stated[1] if stated else _delimiter(body)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter)
    before = 1 if stated else 0
    try:
        return [(reader.line_num + before, [_plain(cell) for cell in row]) for row in reader]
    except csv.Error as error:
        raise UserError(f"{path} line {reader.line_num + before}: {error}; {example}") from error


def _decoded(content: bytes, path: Path, notes: list[str]) -> str:
    """The text of a CSV file: UTF-8, Excel's Unicode text (UTF-16), or else the code page of Western Europe."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: damaged UTF-16 text (byte {error.start}); save it as CSV UTF-8") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in content:
            raise UserError(f"{path}: a binary file, not a table; save it as CSV UTF-8") from error
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            raise UserError(f"{path}: not UTF-8 text (byte {error.start}); save the table as CSV UTF-8") from error
        if re.search(r"[\x01-\x08\x0e-\x1f\x7f]", text):
            raise UserError(f"{path}: a binary file, not a table; save it as CSV UTF-8") from error
    notes.append("not UTF-8, so it is read as Windows-1252 (Excel's CSV); if names look wrong, save it as CSV UTF-8")
    return text


def _delimiter(text: str) -> str:
    """The separator that cuts the first line that is not blank into the most cells, quoted cells counting as one."""
    first = next((line for line in io.StringIO(text, newline="") if line.strip(" \t\r\n,;")), "")
    try:
        return max(DELIMITERS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
    except csv.Error:
        return ","


def _plain(cell: str) -> str:
    """A cell without blanks around it."""
    return cell_text(cell.strip().strip(ODD_BLANKS).strip())


def _from_sheet(path: Path, example: str) -> Lines:
    """(row number, cells) of the first sheet of an Excel file."""
    try:
        _refuse_large(path)
        with warnings.catch_warnings():  # openpyxl comments on styles and extensions that have no meaning here
            warnings.simplefilter("ignore")
            book = load_workbook(path, read_only=True, data_only=True)
            try:
                rows = enumerate(book.worksheets[0].iter_rows(), start=1)
                filled = ((number, [_cell_text(cell) for cell in row]) for number, row in rows)
                return [(number, cells) for number, cells in filled if any(cells)]
            finally:
                book.close()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; {example}") from error
    except (UserError, MachineError, MemoryError):
        raise
    except Exception as error:  # of zipfile, zlib, the XML parser and openpyxl, whose values are of any type
        if isinstance(error, OSError):
            refuse_machine_fault(error, path)
        raise UserError(
            f"{path}: cannot be read as an Excel file; save it again, or as CSV UTF-8; {example}"
        ) from error


def _refuse_large(path: Path) -> None:
    with zipfile.ZipFile(path) as packed:
        size = sum(part.file_size for part in packed.infolist())
    if size > MOST_BYTES:
        raise UserError(f"{path}: {size:,} bytes unpacked; expected a table of at most {MOST_BYTES:,}")


def _cell_text(cell: Any) -> str:
    """The value of a sheet's cell as a person sees it."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and set(cell.number_format) == {"0"}:  # 7 shown as 007
        return str(value).zfill(len(cell.number_format))
    return _plain(str(value))
