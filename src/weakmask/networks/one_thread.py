"""Run many short operations on one CPU thread.

PyTorch splits an operation over all threads and waits for the last of them. For operations of a few microseconds on a
CPU that other processes use too, the wait can last a hundred times as long as the operation. A single thread avoids it.

    with one_thread(values.device):
        for chunk in values.split(2**15):
            chunk.exp_()
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Compute on one thread if `device` is the CPU, and restore PyTorch's number of threads afterwards.

    The number belongs to the calling thread; threads that first compute inside the context also start with one.
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
