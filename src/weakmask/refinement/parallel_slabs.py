"""Process the slabs of a volume in parallel, one thread per slab.

PyTorch splits every operation among its threads and waits for the last of them each time. On arrays that fit into the
cache the waiting costs as much as the threads gain, and on a busy machine, where one thread waits for a core, up to a
hundred times more. Parallel slabs wait for one another only once.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Slab = TypeVar("Slab")
Result = TypeVar("Result")


def in_threads(work: Callable[[Slab], Result], slabs: Sequence[Slab], device: torch.device) -> list[Result]:
    """Results of all slabs in order, computed on `torch.get_num_threads()` threads.

    On devices other than the CPU, or with one thread or slab, they are computed one by one. Gradients are not recorded.
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
        torch.set_num_threads(before)  # the number set inside the threads is also the default of later threads
