"""Every mutant can be applied, the tests that must find it exist, and the check tells killed from survived."""

import ast
from pathlib import Path

import pytest
from run_mutants import PROJECT, mutated, verdict

from mutants import MUTANTS, SOURCE, Mutant

named = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


@named
def test_a_mutant_changes_its_file_and_leaves_python(mutant: Mutant) -> None:
    text = (PROJECT / SOURCE / mutant.file).read_text(encoding="utf-8")
    changed = mutated(text, mutant)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))


@named
def test_the_tests_of_a_mutant_exist(mutant: Mutant) -> None:
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("::")
        text = (PROJECT / file).read_text(encoding="utf-8")
        assert f"def {name.partition('[')[0]}" in text, test


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("text", ["b = 1\n", "a = 1\na = 1\n"])
def test_a_text_that_is_not_there_exactly_once_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="times; expected once"):
        mutated(text, Mutant("", "", "a = 1", "a = 2", ()))


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("assert three() == 3", "killed"),
        ("assert three()", "survived"),
        ("assert three(", "its tests did not run (exit code 2)"),
    ],
)
def test_a_mutant_is_killed_by_a_test_that_looks(check: str, expected: str, tmp_path: Path) -> None:
    source = tmp_path / SOURCE / "three.py"
    source.parent.mkdir(parents=True)
    (source.parent / "__init__.py").touch()
    source.write_text("def three():\n    return 3\n", encoding="utf-8")
    text = f"from weakmask.three import three\n\n\ndef test_three():\n    {check}\n"
    (tmp_path / "test_three.py").write_text(text, encoding="utf-8")
    assert verdict(tmp_path, Mutant("", "three.py", "return 3", "return 5", ("test_three.py",))) == expected
    assert "return 3" in source.read_text(encoding="utf-8")
