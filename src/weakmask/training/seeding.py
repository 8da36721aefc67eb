"""Random numbers from one seed: each draw depends on (seed, step, stream) only, not on earlier draws."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def mixed(seed: int, step: int = 0, stream: str = "") -> int:
    """A well-mixed 63-bit number from a seed, a step and a stream's name; the same on every machine."""
    digest = hashlib.blake2b(f"{seed}/{step}/{stream}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1  # torch takes signed 64-bit seeds


def generator_for(seed: int, step: int, stream: str = "") -> torch.Generator:
    """A new CPU generator for the draws of one step.

    It depends on its arguments only, so a resumed run draws the same numbers as an uninterrupted one.

    Args:
        seed: The run's seed.
        step: The training step, or another running number.
        stream: A name that distinguishes the draws of one step ("moves", "intensity").
    """
    return torch.Generator().manual_seed(mixed(seed, step, stream))


def seed_all(seed: int, step: int = 0) -> None:
    """Seed the global random states of Python, NumPy and torch (all devices), for libraries that use them."""
    number = mixed(seed, step, "global")
    random.seed(number)
    np.random.seed(number % 2**32)  # noqa: NPY002 - the legacy state is the one that libraries draw from
    torch.manual_seed(number)


@contextmanager
def deterministic() -> Iterator[None]:
    """Ask torch for kernels that give the same bits on every run on the same machine and number of threads.

    On the CPU results are then equal bit by bit, and `fit` always uses them. On CUDA some backward kernels
    (linear up-sampling in 3-D, grid sampling) have no deterministic version: torch warns and the bits may differ.
    """
    before = torch.are_deterministic_algorithms_enabled()
    warned_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before, warn_only=warned_only)
        torch.backends.cudnn.benchmark = benchmark
