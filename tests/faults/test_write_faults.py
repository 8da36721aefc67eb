"""Disk faults and kills at any write of any verb: nothing half-written, no scan lost, the same command goes on."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faulty_verbs import VERBS, Commands, check_fault, serving, write_inputs
from write_faults import Kind

KINDS: tuple[Kind, ...] = ("ENOSPC", "EIO", "kill")
QUICK: tuple[tuple[str, Kind, float], ...] = (  # verb, fault, place among its writes
    ("phantom", "kill", 0.5),
    ("train", "EIO", 0.35),
    ("train", "kill", 0.6),
    ("predict", "ENOSPC", 0.6),
    ("predict", "kill", 0.5),
    ("report", "ENOSPC", 0.5),
    ("to-dicom", "EIO", 0.4),
    ("view", "ENOSPC", 0.8),
    *((verb, kind, 0.7) for verb in ("evaluate", "export-nnunet", "subtypes-table") for kind in KINDS),
)
MOST = 200  # positions of one verb and fault that are tried one by one; of later ones every tenth
SPREAD = {"demo": 20, "reproduce": 60}  # these consist of the other verbs: so many positions, evenly spread
EVERY = int(os.environ.get("FAULTS_EVERY", "1"))


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    inputs = tmp_path_factory.mktemp("inputs")
    write_inputs(inputs)
    with serving(inputs) as started:
        yield started


@pytest.fixture(scope="module")
def unbroken(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, int]]:
    """The output folder of each verb without a fault, and how often it writes; filled as verbs are asked for."""
    return {}


def without_fault(verb: str, commands: Commands, known: dict[str, tuple[Path, int]], folder: Path) -> tuple[Path, int]:
    if verb not in known:
        out = commands.prepared(verb, folder / "unbroken")
        ended = commands.run(verb, out)
        assert ended.code == 0, ended.lines
        known[verb] = out, len(ended.done)
    return known[verb]


def positions(verb: str, writes: int) -> list[int]:
    """The positions at which a fault is tried, from 1."""
    if verb in SPREAD:
        return np.linspace(1, writes, SPREAD[verb], dtype=int).tolist()
    return [*range(1, min(writes, MOST) + 1), *range(MOST + 10, writes + 1, 10)]


@pytest.mark.parametrize(("verb", "kind", "place"), QUICK)
def test_a_fault_at_one_write(
    verb: str, kind: Kind, place: float, commands: Commands, unbroken: dict[str, tuple[Path, int]], tmp_path: Path
) -> None:
    whole, writes = without_fault(verb, commands, unbroken, tmp_path)
    assert writes >= 3
    check_fault(commands, verb, (1 + int(place * (writes - 1)), kind), whole, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", VERBS)
def test_a_fault_at_every_write(
    verb: str, kind: Kind, commands: Commands, unbroken: dict[str, tuple[Path, int]], tmp_path: Path
) -> None:
    whole, writes = without_fault(verb, commands, unbroken, tmp_path)
    for position in positions(verb, writes)[::EVERY]:
        check_fault(commands, verb, (position, kind), whole, tmp_path / f"{position}")
