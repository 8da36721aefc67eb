"""Lack of memory: a scan too large costs that scan, any other lack stops a stage and nothing else."""

from pathlib import Path

import numpy as np
import pytest
import torch

from weakmask import memory
from weakmask.errors import MachineError, UserError
from weakmask.memory import asked_bytes, is_out_of_memory, memory_bytes, memory_for

TOO_MUCH = 1 << 60


def numpy_array() -> object:
    return np.empty(TOO_MUCH, np.uint8)


def torch_tensor() -> object:
    return torch.empty(TOO_MUCH, dtype=torch.uint8)


@pytest.mark.parametrize("take", [numpy_array, torch_tensor])
def test_the_errors_of_the_libraries_are_known(take) -> None:
    with pytest.raises((MemoryError, RuntimeError)) as told:
        take()
    assert is_out_of_memory(told.value)
    assert asked_bytes(told.value) == pytest.approx(TOO_MUCH, rel=0.01)
    assert not is_out_of_memory(RuntimeError("the shapes do not fit"))
    assert not is_out_of_memory(RuntimeError("Unhandled PixelFormat: BitsAllocated :18"))  # an element of DICOM
    assert asked_bytes(MemoryError()) == 0


@pytest.mark.parametrize("in_stage", [False, True])
@pytest.mark.parametrize("take", [numpy_array, torch_tensor])
def test_a_scan_too_large_for_the_machine_is_at_fault_itself(take, in_stage: bool) -> None:
    with (
        pytest.raises(UserError, match=r"^scans/a\.nii: too large for the memory of this machine \(an array of 1"),
        memory_for(Path("scans/a.nii"), in_stage=in_stage),
    ):
        take()


def test_a_small_array_that_cannot_be_had_is_the_machine_s_fault_in_a_stage() -> None:
    small = MemoryError("Unable to allocate 12.0 MiB for an array with shape (3, 1024, 1024) and data type float32")
    assert asked_bytes(small) == 12 * 2**20
    with pytest.raises(MachineError, match=r"^a: not enough memory"), memory_for("a", in_stage=True):
        raise small
    with pytest.raises(UserError, match=r"^a: too large"), memory_for("a"):
        raise small


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_for("a"):
        raise RuntimeError("the shapes do not fit")


def test_the_memory_is_that_of_the_narrowest_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = memory_bytes()
    assert whole > 1 << 28
    monkeypatch.setattr(memory.resource, "getrlimit", lambda _: (1 << 20, 1 << 20))
    assert memory_bytes() == 1 << 20
