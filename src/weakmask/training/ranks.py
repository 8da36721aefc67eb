"""Ranks: the processes that share one training, one a device.

Rank 0 runs the stages of a method. It hands each training over to the other ranks, which know nothing else: network,
optimiser, batches and losses travel pickled, from memory to memory. torchrun or srun start the ranks, which then wait
for trainings from the beginning to the end of the run; else rank 0 starts them for each training anew.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any

import torch
from torch import distributed
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore  # torch.distributed has them, unknown to pyright

from weakmask.errors import MachineError, UserError
from weakmask.memory import is_out_of_memory
from weakmask.terminal import say
from weakmask.training.devices import LONGEST, Spread
from weakmask.training.places import Place, launched_place

HOST = "127.0.0.1"
ARRIVAL_SECONDS = 300.0  # in which every rank must have come; the first import of torch is slow
PATIENCE_SECONDS = 10.0  # from the end of a rank to that of the others, which a GPU's collective may hold
EVERY_SECONDS = 0.2
FOREVER = timedelta(days=365)  # that ranks wait for the next training, while rank 0 prepares scans
RESUMES = "the same command goes on from the last checkpoint"
END = "end"
LOST = 2  # exit code


@dataclass
class Ranks:
    """The processes of a training, seen from one of them.

    Attributes:
        place: This one.
        started: The others, by rank, where this one started them.
        control: Group for plain data.
    """

    place: Place
    started: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    control: Any = None

    def lost(self) -> str:
        """How the first of the started ranks ended that did; empty where all run."""
        for rank, process in self.started.items():
            code = process.poll()
            if code is not None:
                how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
                return f"rank {rank} of {self.place.processes} has ended ({how})"
        return ""

    def meaning(self, error: RuntimeError) -> str:
        """Meaning of an error of the connection for rank 0: how a rank was lost, as far as that is known."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self.started and time.monotonic() < end and not self.lost():
            time.sleep(EVERY_SECONDS)
        return self.lost() or f"another rank has ended ({str(error).splitlines()[0][:120]})"

    def hand_over(self, task: object) -> None:
        """Send a training to all other ranks.

        Raises:
            ValueError: It cannot be pickled.
        """
        try:
            distributed.broadcast_object_list([task], src=0, group=self.control)
        except (AttributeError, TypeError) as error:
            raise ValueError(f"a training on several devices is pickled, and this one cannot be: {error}") from error

    def taken_over(self) -> Any:
        """The training that rank 0 sends.

        Raises:
            UserError: It needs a class or function that only the script of rank 0 has.
        """
        received: list[Any] = [None]
        try:
            distributed.broadcast_object_list(received, src=0, group=self.control)
        except (AttributeError, ImportError) as error:
            raise UserError(
                f"{error}; batches and losses of a training on several devices stand in a module"
            ) from error
        return received[0]


@contextmanager
def leading(spread: Spread, device: str) -> Iterator[Ranks]:
    """Connect this process, as rank 0, with the others for one training; start them where no launcher did.

    Args:
        spread: The devices.
        device: cpu or cuda.

    Raises:
        UserError: There are several nodes, and no launcher started the ranks.
        MachineError: A rank did not come or has ended.
    """
    place = launched_place(spread)
    if place is not None:
        store = meeting(place)
        ranks = Ranks(place)
    elif spread.nodes > 1:
        raise UserError(
            f"training.nodes is {spread.nodes}, and this process was started alone; start the same command on every "
            "node by torchrun or srun"
        )
    else:
        store = TCPStore(HOST, 0, is_master=True, wait_for_workers=False, timeout=FOREVER)
        place = Place(0, spread.processes, 0, 0, HOST, store.port)
        ranks = Ranks(place, {rank: _start(place, rank) for rank in range(1, place.processes)})
    number = store.add("trainings", 1)
    store.set(f"training-{number}", device)
    try:
        _wait_for_all(store, number, ranks)
        with watched(ranks.lost, ranks.meaning), connected(store, number, device, ranks):
            yield ranks
    finally:
        for process in ranks.started.values():
            _let_end(process)


@contextmanager
def connected(store: Store, number: int, device: str, ranks: Ranks) -> Iterator[None]:
    """Join the process group of a training, and leave it at the end."""
    backend = "nccl" if device == "cuda" else "gloo"
    if device == "cuda":
        torch.cuda.set_device(ranks.place.local_rank)
    distributed.init_process_group(
        backend,
        store=PrefixStore(f"group-{number}", store),
        rank=ranks.place.rank,
        world_size=ranks.place.processes,
        timeout=LONGEST,
    )
    try:
        ranks.control = distributed.new_group(backend="gloo", timeout=LONGEST)
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def watched(lost: Callable[[], str], meaning: Callable[[RuntimeError], str]) -> Iterator[None]:
    """Turn the loss of a rank into one line; a process that a collective holds is ended.

    Args:
        lost: How a rank was lost; empty while none was.
        meaning: The same from an error of the connection.

    Raises:
        MachineError: A rank was lost.
    """
    done = threading.Event()

    def watch() -> None:
        """End this process a while after a rank was lost, if nothing else does."""
        while not done.wait(EVERY_SECONDS):
            if how := lost():
                if not done.wait(PATIENCE_SECONDS):
                    say("error", f"{how}; {RESUMES}")
                    os._exit(LOST)  # every file is written atomically
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error) or not is_of_connection(error):
            raise
        raise MachineError(f"{meaning(error)}; {RESUMES}") from error
    finally:
        done.set()


def is_of_connection(error: RuntimeError) -> bool:
    """Whether an error comes from the connection of the ranks, and not from the training."""
    words = ("gloo", "nccl", "connection", "socket", "broken pipe")
    return isinstance(error, distributed.DistError) or any(word in str(error).lower() for word in words)


@lru_cache(maxsize=1)
def meeting(place: Place) -> Store:
    """The store at which ranks that a launcher started meet, from the beginning to the end of the run."""
    serves = place.rank == 0 and not place.hosted
    store = TCPStore(
        place.address, place.port, is_master=serves, wait_for_workers=False, timeout=timedelta(seconds=ARRIVAL_SECONDS)
    )
    store.set_timeout(FOREVER)
    return PrefixStore("weakmask", store)


@contextmanager
def dismissing(place: Place | None) -> Iterator[None]:
    """Tell the other ranks, at the end of a run, that no training follows.

    Args:
        place: Of rank 0 where a launcher started the ranks; None: no rank waits.
    """
    try:
        yield
    finally:
        if place is not None:
            store = meeting(place)
            store.set(f"training-{store.add('trainings', 1)}", END)


def next_training(store: Store, number: int) -> str:
    """Wait for a training as another rank than 0; its device, cpu or cuda, or nothing where none follows."""
    found = store.get(f"training-{number}").decode()
    return "" if found == END else found


def arrive(store: Store, number: int) -> None:
    """Say that this rank is there for a training."""
    store.add(f"arrived-{number}", 1)


def _start(place: Place, rank: int) -> subprocess.Popen[bytes]:
    """Start another rank on this machine, in a session of its own: a key in the terminal stops rank 0 alone."""
    command = [sys.executable, "-m", "weakmask.training.following", str(rank), str(place.processes), str(place.port)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)  # noqa: S603


def _let_end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a rank that has finished; kill one that has not."""
    try:
        process.wait(PATIENCE_SECONDS if sys.exc_info()[0] is None else 0.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for_all(store: Store, number: int, ranks: Ranks) -> None:
    """Wait until every other rank has arrived.

    Raises:
        MachineError: One did not.
    """
    end = time.monotonic() + ARRIVAL_SECONDS
    while (there := store.add(f"arrived-{number}", 0)) < ranks.place.processes - 1:
        if how := ranks.lost():
            raise MachineError(f"{how} before the training began; {RESUMES}")
        if time.monotonic() > end:
            raise MachineError(
                f"{1 + there} of {ranks.place.processes} ranks came within {ARRIVAL_SECONDS:.0f} s; {RESUMES}"
            )
        time.sleep(EVERY_SECONDS)
