"""The process of another rank than 0: it takes its part in the trainings that rank 0 hands over.

`python -m weakmask.training.following RANK PROCESSES PORT` is how rank 0 starts one for a single training.
"""

import os
import sys
import time

from torch._C._distributed_c10d import Store, TCPStore  # as in `ranks`

from weakmask.errors import MachineError, UserError
from weakmask.terminal import say
from weakmask.training.places import Place
from weakmask.training.ranks import (
    FOREVER,
    HOST,
    LOST,
    Ranks,
    arrive,
    connected,
    meeting,
    next_training,
    watched,
)
from weakmask.training.steps import Task, take_part

GRACE_SECONDS = 2.0  # in which rank 0 ends this process, where it has met the same fault and says so


def follow(place: Place) -> None:
    """Take part in all trainings of a run whose ranks a launcher started; ends with the run.

    Raises:
        MachineError: Rank 0 has ended before the run.
    """
    number = 1
    with watched(lambda: "", lambda _: "rank 0 has ended"):
        store = meeting(place)
        while device := next_training(store, number):
            _take_over(store, number, device, place)
            number += 1


def _take_over(store: Store, number: int, device: str, place: Place) -> None:
    """Take part in one training."""
    arrive(store, number)
    ranks = Ranks(place)
    with connected(store, number, device, ranks):
        task: Task = ranks.taken_over()
        take_part(task, place)


def main(rank: int, processes: int, port: int, leader: int) -> None:
    """Take part in one training of the process that started this one.

    Args:
        rank: Of this process.
        processes: Their number.
        port: Of rank 0.
        leader: Number of the process of rank 0.
    """
    place = Place(rank, processes, rank, 0, HOST, port)

    def lost() -> str:
        """Whether rank 0 has ended."""
        return "" if os.getppid() == leader else "rank 0 has ended"

    with watched(lost, lambda _: "rank 0 has ended"):
        store = TCPStore(HOST, port, is_master=False, wait_for_workers=False, timeout=FOREVER)
        if device := next_training(store, 1):
            _take_over(store, 1, device, place)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), os.getppid())
    except (UserError, MachineError) as error:
        time.sleep(GRACE_SECONDS)
        say("error", f"rank {sys.argv[1]}: {error}")
        sys.stderr.flush()
        os._exit(LOST)  # a collective may hold a thread
