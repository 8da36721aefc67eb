"""Work on many items in several processes, which end when their parent is killed."""

import os
from collections.abc import Callable, Iterable, Iterator
from threading import Thread
from time import sleep
from typing import Any, TypeVar

from joblib import Parallel, delayed

from weakmask import windows

Item = TypeVar("Item")  # 3.11 has no `def each_in_processes[Item, Result]`
Result = TypeVar("Result")
EVERY_SECONDS = 1.0  # between two looks at the parent


def each_in_processes(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """The results of the same work on many items, in their order.

    Args:
        work: The work on one item. It is pickled.
        items: The items.
        workers: Number of processes; with 1, this process works.
    """
    parallel = Parallel(workers, return_as="generator", initializer=end_with_parent, initargs=(os.getpid(),))
    results: Any = parallel(delayed(work)(item) for item in items)
    return results


def end_with_parent(parent: int) -> None:
    """Let this process end soon after its parent was killed; else it would wait or write for minutes.

    Args:
        parent: Number of the parent's process.
    """
    Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: int) -> None:
    while os.getppid() == parent and (not windows.WINDOWS or windows.is_alive(parent)):
        sleep(EVERY_SECONDS)
    os._exit(1)  # every file is written atomically
