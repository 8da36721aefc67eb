"""Damage files of every format that the package reads, and count what each reader makes of them.

    make fuzz SECONDS=600
    python tests/fuzz/run_fuzz.py --target "mha packed" --number 1234

Exit code 1 if a reader raised anything but the package's own error of one line, took more than 10 s, or more than 2 GB.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [
    str(HERE),
    *(str(HERE.parent / room) for room in ("end_to_end", "volume")),
    str(HERE.parents[1] / "src"),
]

import torch  # noqa: E402 - the folder of the tests is not a package
from fuzzing import FAULTS, SECONDS, Answer, Outcome, content_of, limit_memory, outcome_of  # noqa: E402
from small_model import small_model  # noqa: E402
from targets import Target, targets  # noqa: E402

CHUNK = 100  # files of one target that a process reads before it takes another
NICE = 5  # below what a person does meanwhile
LIFE = 50  # chunks that a process reads: imagecodecs keeps memory for each damaged Deflate stream that it refuses
EVERY = 60.0  # seconds from a line of progress to the next
PATIENCE = 3 * SECONDS  # of the parent, for code that no signal reaches

Chunk = tuple[str, int]


def main() -> int:
    """Fuzz for some time, print the table, and return the exit code."""
    arguments = _arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        found = targets(Path(folder), small_model(Path(folder)))
        if arguments.number is not None:
            return _one(found, arguments.target, arguments.number, Path(folder))
        names = [arguments.target] if arguments.target else list(found)
        start = time.monotonic()
        counts, faults = _fuzz({name: found[name] for name in names}, Path(folder), arguments)
        seconds = time.monotonic() - start
    for name, number, outcome in faults[:200]:
        print(f"\n{outcome.answer}: --target {name!r} --number {number}\n{outcome.text}")
    _print_table(counts, seconds)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({name: dict(counted) for name, counted in counts.items()}, indent=2))
    return 1 if faults else 0


def _fuzz(
    found: dict[str, Target], folder: Path, arguments: argparse.Namespace
) -> tuple[dict[str, Counter[Answer]], list[tuple[str, int, Outcome]]]:
    """Let processes read chunk after chunk until the time is over."""
    began = time.monotonic()
    end, next_line = began + arguments.seconds, began + EVERY
    chunks = ((name, first) for first in range(arguments.first, 10**9, CHUNK) for name in found)
    counts: dict[str, Counter[Answer]] = {name: Counter() for name in found}
    faults: list[tuple[str, int, Outcome]] = []
    workers = [Worker(found, folder / f"worker{k}") for k in range(arguments.jobs)]
    while workers:
        wait([worker.messages for worker in workers], timeout=1.0)
        if time.monotonic() > next_line:
            files = sum(counted.total() for counted in counts.values())
            print(f"{time.monotonic() - began:.0f} s  {files:,} files  {len(faults)} faults", flush=True)
            next_line += EVERY
        for worker in list(workers):
            for name, number, outcome in worker.news():
                counts[name][outcome.answer] += 1
                if outcome.is_fault:
                    faults.append((name, number, outcome))
            if worker.idle:
                if time.monotonic() > end:
                    worker.stop()
                    workers.remove(worker)
                else:
                    worker.give(next(chunks))
    return counts, faults


class Worker:
    """A process that reads damaged files; one that dies or hangs is replaced, and the file is a fault."""

    def __init__(self, found: dict[str, Target], folder: Path) -> None:
        self.found, self.folder = found, folder
        self.idle, self.at, self.left = True, ("", 0), 0
        self.messages: Connection
        self.process: BaseProcess
        self._start()

    def give(self, chunk: Chunk, files: int = CHUNK) -> None:
        """Let it read some files of one target."""
        if self.age == LIFE:
            self.stop()
            self._start()
        self.age += 1
        self.idle, self.at, self.left, self.since = False, chunk, files, time.monotonic()
        self.messages.send((*chunk, files))

    def news(self) -> Iterator[tuple[str, int, Outcome]]:
        """The answers since the last call."""
        try:
            while self.messages.poll():
                yield self._told(self.messages.recv())
        except (EOFError, ConnectionResetError):
            yield from self._replaced(Outcome("memory", f"the process died: {self._died()}"))
        if not self.idle and time.monotonic() - self.since > PATIENCE:
            yield from self._replaced(Outcome("hang", f"more than {PATIENCE:g} s in compiled code"))

    def stop(self) -> None:
        """End the process."""
        self.messages.send(None)
        self.process.join()

    def _told(self, outcome: Outcome) -> tuple[str, int, Outcome]:
        name, number = self.at
        self.at, self.left, self.since = (name, number + 1), self.left - 1, time.monotonic()
        self.idle = self.left == 0
        return name, number, outcome

    def _replaced(self, outcome: Outcome) -> Iterator[tuple[str, int, Outcome]]:
        self.process.kill()
        self.process.join()
        self._start()
        if not self.idle:
            yield self._told(outcome)
            if self.left:
                self.give(self.at, self.left)

    def _died(self) -> str:
        self.process.join()
        return f"exit code {self.process.exitcode}"

    def _start(self) -> None:
        self.age = 0
        self.messages, other = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(
            target=_read_chunks, args=(self.found, self.folder, other), daemon=True
        )
        self.process.start()
        other.close()


def _read_chunks(found: dict[str, Target], folder: Path, messages: Connection) -> None:
    """The worker: read chunks until None comes."""
    limit_memory()
    os.nice(NICE)
    with Path(os.devnull).open("w") as nowhere:  # libraries print what they think of a file
        os.dup2(nowhere.fileno(), 2)
    while (chunk := messages.recv()) is not None:
        name, first, files = chunk
        for number in range(first, first + files):
            messages.send(outcome_of(name, found[name], number, folder / "file"))


def _one(found: dict[str, Target], name: str, number: int, folder: Path) -> int:
    """Read one file again, keep it, and say what came."""
    kept = Path(f"fuzz-{number}-{found[name].name}")
    kept.write_bytes(content_of(name, found[name], number))
    outcome = outcome_of(name, found[name], number, folder / "file")
    print(f"{kept}: {outcome.answer}\n{outcome.text}")
    return int(outcome.is_fault)


def _print_table(counts: dict[str, Counter[Answer]], seconds: float) -> None:
    rows = [*counts.items(), ("all", sum(counts.values(), Counter[Answer]()))]
    print(f"\n{'reader':<20}{'inputs':>9}{'accepted':>10}{'refused':>10}{'faults':>8}")
    for name, counted in rows:
        wrong = sum(counted[answer] for answer in FAULTS)
        print(f"{name:<20}{counted.total():>9}{counted['accepted']:>10}{counted['refused']:>10}{wrong:>8}")
    print(f"{seconds:.0f} s")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180, help="how long (default: 180)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument("--target", help="one reader alone")
    parser.add_argument("--number", type=int, help="one file of the target alone: it is kept, and the answer printed")
    parser.add_argument("--first", type=int, default=0, help="number of the first file of each reader (default: 0)")
    parser.add_argument("--json", help="write the counts into this file, too")
    arguments = parser.parse_args()
    if arguments.number is not None and not arguments.target:
        parser.error("--number needs --target")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
