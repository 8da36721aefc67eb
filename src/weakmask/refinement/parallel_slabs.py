"""Slabs of a volume side by side, each on a thread of its own.

PyTorch shares every single operation among its threads and waits for the last of them each time. On arrays that fit the
cache that costs as much as it gains, and on a busy machine, where one thread waits for a core while the others spin, a
hundred times more. Slabs need to wait for one another only once.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Slab = TypeVar("Slab")
Result = TypeVar("Result")


def in_threads(work: Callable[[Slab], Result], slabs: Sequence[Slab], device: torch.device) -> list[Result]:
    """The results of all slabs in order, on as many threads as `torch.get_num_threads()` says.

    On other devices than the processor, or with one thread or slab, one after the other. Gradients are not recorded.
    """
    threads = min(torch.get_num_threads(), len(slabs))
    if device.type != "cpu" or threads == 1:
        with torch.no_grad():
            return [work(slab) for slab in slabs]
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(torch.no_grad()(work), slabs))
    finally:
        torch.set_num_threads(before)  # what the threads have set for themselves is also the default of later ones
