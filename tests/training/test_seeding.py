"""Draws that depend on (seed, step, stream) and nothing else."""

import itertools
import random
from pathlib import Path

import numpy as np
import torch

from weakmask.training.batches import Batch
from weakmask.training.fit import Plan, fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.seeding import deterministic, generator_for, mixed, seed_all


def test_the_same_arguments_give_the_same_draws():
    draws = [torch.rand(4, generator=generator_for(1, 2, "moves")) for _ in range(2)]
    assert torch.equal(*draws)


def test_neighbouring_seeds_steps_and_streams_all_differ():
    numbers = {mixed(s, t, name) for s, t, name in itertools.product(range(20), range(50), ("", "moves", "noise"))}
    assert len(numbers) == 20 * 50 * 3
    assert all(0 <= number < 2**63 for number in numbers)


def test_digits_do_not_run_together():
    assert mixed(1, 11) != mixed(11, 1)
    assert mixed(1, 1, "1") != mixed(1, 11)


def test_the_numbers_are_pinned():
    """A change would break going on with runs of an older version, and every published seed."""
    assert mixed(0) == 37690156179941161
    assert mixed(7, 100, "moves") == 5751405499104901694


def test_draws_are_uniform_over_steps():
    means = torch.stack([torch.rand(1, generator=generator_for(0, step)) for step in range(2000)])
    assert abs(means.mean() - 0.5) < 0.02
    assert abs(means.std() - 12**-0.5) < 0.02


def test_seed_all_sets_all_global_states():
    draws = []
    for step in (3, 3, 4):
        seed_all(9, step)
        draws.append((random.random(), float(np.random.rand()), float(torch.rand(1))))  # noqa: NPY002
    assert draws[0] == draws[1]
    assert all(a != b for a, b in zip(draws[0], draws[2], strict=True))


def test_deterministic_is_given_back():
    before = torch.are_deterministic_algorithms_enabled()
    with deterministic():
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
    assert torch.are_deterministic_algorithms_enabled() == before


def test_trainings_on_the_cpu_are_deterministic(tmp_path: Path):
    network, seen = torch.nn.Linear(1, 1), []

    def losses_of(net: torch.nn.Module, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        seen.append(torch.are_deterministic_algorithms_enabled())
        return {"total": net(batch["x"]).mean()}

    optimiser = build_optimiser(network.parameters(), "adam", 1e-3)
    fit(network, optimiser, lambda _: {"x": torch.ones(2, 1)}, losses_of, None, tmp_path, Plan(3, device="cpu"))
    assert seen == [True] * 3
    assert not torch.are_deterministic_algorithms_enabled()
