"""One thread for work that consists of many short operations.

PyTorch splits an operation over all threads and waits for the last of them. Where an operation takes microseconds and
the processor has other work, each such wait lasts until the other work's turn ends: a hundred times the operation. One
thread has nobody to wait for.

    with one_thread(values.device):
        for chunk in values.split(2**15):
            chunk.exp_()
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Compute on one thread if `device` is the processor, and set PyTorch's number of threads back afterwards.

    The number is the calling thread's own; threads that compute for the first time in the meantime start with one too.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
