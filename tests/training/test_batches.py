"""Batches one step ahead, and in parts."""

import threading

import pytest
import torch
from torch import Tensor

from weakmask.training.batches import batches_ahead, parts
from weakmask.training.devices import fabric_for

FABRIC = fabric_for("cpu", "32-true")


def numbered(step: int) -> dict[str, Tensor]:
    return {"x": torch.tensor([step])}


@pytest.mark.parametrize("prefetch", [True, False])
@pytest.mark.parametrize("steps", [range(3, 9), range(4, 4)])
def test_every_step_once_and_in_order(steps: range, *, prefetch: bool):
    got = [int(batch["x"]) for batch in batches_ahead(numbered, steps, FABRIC, prefetch=prefetch)]
    assert got == list(steps)


def test_the_next_batch_is_built_while_this_one_is_used():
    begun = threading.Event()

    def batch_at(step: int) -> dict[str, Tensor]:
        if step == 1:
            begun.set()
        return numbered(step)

    batches = batches_ahead(batch_at, range(3), FABRIC, prefetch=True)
    next(batches)
    assert begun.wait(timeout=10)
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


@pytest.mark.parametrize("prefetch", [True, False])
def test_a_fault_comes_out_at_its_own_step(*, prefetch: bool):
    def batch_at(step: int) -> dict[str, Tensor]:
        if step == 2:
            raise KeyError(step)
        return numbered(step)

    got = []
    with pytest.raises(KeyError):
        got.extend(int(batch["x"]) for batch in batches_ahead(batch_at, range(5), FABRIC, prefetch=prefetch))
    batches = batches_ahead(batch_at, range(5), FABRIC, prefetch=prefetch)
    assert [int(next(batches)["x"]) for _ in range(2)] == [0, 1]
    batches.close()


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_parts_are_the_batch_and_shares_add_up(count: int):
    batch = {"x": torch.rand(7, 2), "y": torch.arange(7)}
    shares, pieces = zip(*parts(batch, count), strict=True)
    assert sum(shares) == pytest.approx(1)
    assert shares == tuple(len(piece["x"]) / 7 for piece in pieces)
    assert max(shares) - min(shares) <= 1 / 7 + 1e-9
    for name, whole in batch.items():
        assert torch.equal(torch.cat([piece[name] for piece in pieces]), whole)
