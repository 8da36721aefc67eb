"""A few seconds of `make fuzz`: the first damaged files of every reader are accepted or refused in one line."""

import random
import signal
from pathlib import Path

import pytest
from fuzzing import Hang, at_most, outcome_of
from mutations import damaged
from small_model import small_model
from targets import Target, targets

from weakmask.errors import UserError

FILES = 12  # of each reader; the documented run reads thousands


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    folder = tmp_path_factory.mktemp("seeds")
    return targets(folder, small_model(folder))


def test_whole_files_are_accepted(readers: dict[str, Target], tmp_path: Path) -> None:
    """Else the damage would not be what is refused."""
    for name, target in readers.items():
        for number, seed in enumerate(target.seeds):
            folder = tmp_path / f"{name} {number}"
            folder.mkdir()
            target.around(folder)
            (folder / target.name).write_bytes(target.pack(seed))
            assert target.read(folder / target.name) is not None, f"seed {number} of {name}"


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_accepted_or_refused_in_one_line(readers: dict[str, Target], tmp_path: Path) -> None:
    outcomes = {
        (name, number): outcome_of(name, target, number, tmp_path / "file")
        for name, target in readers.items()
        for number in range(FILES)
    }
    faults = [f"{key}: {outcome.answer} {outcome.text}" for key, outcome in outcomes.items() if outcome.is_fault]
    assert not faults, "\n\n".join(faults)
    answers = [outcome.answer for outcome in outcomes.values()]
    assert min(answers.count("accepted"), answers.count("refused")) > len(answers) / 20


class UnboundedError(UserError):
    """An error whose text is not made one short line."""

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)


def test_what_a_reader_must_not_do_is_a_fault(tmp_path: Path) -> None:
    def raising(error: BaseException) -> Target:
        def read(path: Path) -> None:
            raise error

        return Target(read, "s", [b"seed"])

    expected = {
        ValueError("x"): "error",
        MemoryError(): "memory",
        UnboundedError("two\nlines"): "long line",
        UnboundedError("x" * 3000): "long line",
        UserError("one line"): "refused",
        Hang(): "hang",
    }
    for error, answer in expected.items():
        assert outcome_of("any", raising(error), 0, tmp_path / "file").answer == answer
    with pytest.raises(Hang), at_most(0.05):
        signal.pause()


def test_the_same_number_gives_the_same_damage() -> None:
    made = [damaged(b"a: 1\nb: 2\n", random.Random(f"x {number}"), (b"[",)) for number in (1, 1, 2, 3, 4)]
    assert made[0] == made[1]
    assert len(set(made)) >= 3


@pytest.mark.parametrize(
    ("name", "number"), [("results.csv", 158), ("results.csv", 209), ("subtypes.csv", 177), ("subtypes.csv", 246)]
)
def test_files_that_once_gave_a_traceback_are_refused(
    readers: dict[str, Target], tmp_path: Path, name: str, number: int
) -> None:
    assert outcome_of(name, readers[name], number, tmp_path / "file").answer == "refused"
