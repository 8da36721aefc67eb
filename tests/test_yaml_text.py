"""The one YAML reader: whatever PyYAML raises is one line, and nothing is unpacked before it is measured."""

import datetime as dt
import errno
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakmask.config import with_overrides
from weakmask.datasets.region_names import read_numbering
from weakmask.datasets.usable_truth import read_truth_kind
from weakmask.errors import MachineError, UserError
from weakmask.scoring.severity import read_score_map
from weakmask.yaml_text import MOST_BYTES, parse_yaml, read_yaml_file

PLAIN = (dict, list, set, str, bytes, bool, int, float, dt.date, type(None))  # a datetime is a date
SOURCE = Path(__file__).resolve().parents[1] / "src" / "weakmask"


def bomb(levels: int) -> str:
    """A text of a line per level, each of which stands for nine of the level above."""
    lines = ["a0: &a0 lol"] + [f"a{k}: &a{k} [{', '.join(9 * [f'*a{k - 1}'])}]" for k in range(1, levels)]
    return "\n".join([*lines, f"seed: *a{levels - 1}"])


REFUSED = {
    bomb(7): "more than 20,000 values, every alias replaced",
    "a: &a " + "x" * 500_000 + "\nb: [" + 9 * "*a, " + "*a]": "more than 20,000 values",
    "a: &a [*a]": "stands for nothing, or for itself",
    "a: *b": "stands for nothing, or for itself",
    5000 * "[": "brackets in brackets more than 32 deep at line 1",
    "".join(f"{k * ' '}a:\n" for k in range(400)): "more than 32 deep",
    "a: !!int foo": "a value is not of the type that it looks like",
    "a: !!float foo": "not of the type",
    "a: !!bool foo": "not of the type",
    "a: !!timestamp foo": "not of the type",
    "a: 2020-02-30": "not of the type that it looks like (day is out of range for month); quote it",
    "a: 2020-13-45": "not of the type",
    "a: " + 5000 * "9": "not of the type",
    "a: !!python/object/apply:os.system ['true']": "could not determine a constructor",
    "? [1]\n: 2": "found unhashable key",
    "a: 1\nb: 2\na: 3": "not valid YAML at line 3 (the key a stands there twice)",
    "a: {b: 1, b: 2}": "the key b stands there twice",
    "a: [1": "not valid YAML at line 1",
    "a: \x00": "it holds characters that YAML does not allow",
    "%YAML 3.0\n---\na": "not valid YAML at line 1",
    (MOST_BYTES + 1) * "#": "expected a YAML text of at most 1,048,576",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=[str(number) for number in range(len(REFUSED))])
def test_what_is_no_good_yaml_is_one_short_line(text: str, message: str) -> None:
    start = time.perf_counter()
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        parse_yaml(text)
    assert len(str(caught.value)) < 400
    assert time.perf_counter() - start < 10


def test_anchors_and_merged_keys_still_work() -> None:
    text = "base: &base {steps: 3, width: 8}\nmore: {<<: *base, width: 16}\nlist: [1, 2.5, null, true, text]"
    assert parse_yaml(text) == {
        "base": {"steps": 3, "width": 8},
        "more": {"steps": 3, "width": 16},
        "list": [1, 2.5, None, True, "text"],
    }
    assert parse_yaml("") is None


@pytest.mark.parametrize("read", [read_numbering, read_score_map, read_truth_kind])
@pytest.mark.parametrize("text", ["a: 2020-02-30", 5000 * "[", bomb(9), "a: !!int foo", "\ufeff- [", "? [1]\n: 2"])
def test_every_yaml_file_of_a_cohort_is_read_in_this_way(tmp_path: Path, read: object, text: str) -> None:
    path = tmp_path / "some.yaml"
    path.write_text(text, encoding="utf-8")
    assert callable(read)
    with pytest.raises(UserError, match=re.escape(str(path))) as caught:
        read(path)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("value", ["2020-02-30", "!!int x", "[1, 2", 4000 * "[", "*a"])
def test_a_setting_of_the_command_line_too(value: str) -> None:
    with pytest.raises(UserError, match=r"--set seed="):
        with_overrides({"seed": 1}, [f"seed={value}"])


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a file; expected a YAML text"):
        read_yaml_file(Path("/dev/zero"))
    with pytest.raises(UserError, match="no such file"):
        read_yaml_file(tmp_path / "absent.yaml")


def test_a_disk_that_fails_is_the_machine_s_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **named: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "some.yaml").write_text("a: 1")
    monkeypatch.setattr(Path, "open", broken)
    with pytest.raises(MachineError, match=r"some\.yaml: cannot be read \(Input/output error\)"):
        read_yaml_file(tmp_path / "some.yaml")


def test_no_other_module_reads_yaml() -> None:
    readers = re.compile(r"yaml\.(safe_load|load|full_load|compose|parse|scan)\b")
    found = {path.name for path in SOURCE.rglob("*.py") if readers.search(path.read_text(encoding="utf-8"))}
    assert found == {"yaml_text.py"}


def answer_to(text: str) -> tuple[Any, str]:
    """The value of a text, or the line that refuses it."""
    try:
        return parse_yaml(text), ""
    except UserError as error:
        return None, str(error)


@settings(max_examples=150)
@given(st.text("ab:-[]{}&*!?|>'\"#%@ \n\t,0123.~<=") | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    found, line = answer_to(text)
    assert isinstance(found, PLAIN)
    assert "\n" not in line
    assert len(line) < 400
