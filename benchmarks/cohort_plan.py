"""A plan for a million CTs: throughput and cost on 1 to 1,000 workers, by a simulation of discrete events.

Each worker loads the model, then takes one scan after another: the head node hands it out, shared storage sends it, the
worker computes, shared storage takes the masks. Head and storage serve one request at a time, each at its full speed,
and the own line of a worker has a limit. A worker dies at times; its scan is lost, and it loads the model again.
Nothing of it is measured here: the inputs are seconds and bytes that were measured elsewhere, given as options.

A part of the scans is simulated, as many as each worker takes a few dozen times; the rate is that of the whole cohort.

Usage: cohort_plan.py [--json] [--seconds-per-scan S] [--bytes-in B] [--storage-bytes B] ...
"""

import argparse
import heapq
import json
import random
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

WORKERS = (1, 10, 30, 100, 300, 1_000)
EACH = 40  # scans of a worker that are simulated
LEAST = 2_000  # scans that are simulated


@dataclass(frozen=True)
class Plan:
    """Measured and assumed numbers.

    Attributes:
        scans: Of the cohort.
        seconds_per_scan: Of one worker, without reading and writing.
        bytes_in: Of a scan on the storage.
        bytes_out: Of its masks, table and preview.
        storage_bytes: That shared storage moves in a second, for all workers together.
        line_bytes: That a worker moves in a second at most.
        model_bytes: Of the model's file.
        start_seconds: Of a worker, until it can load the model.
        head_seconds: Of the head node for each scan.
        lives_hours: Mean time until a worker dies; 0: never.
        price_per_hour: Of a worker.
    """

    scans: int = 1_000_000
    seconds_per_scan: float = 60.0
    bytes_in: float = 150e6
    bytes_out: float = 3e6
    storage_bytes: float = 2e9
    line_bytes: float = 250e6
    model_bytes: float = 90e6
    start_seconds: float = 20.0
    head_seconds: float = 0.002
    lives_hours: float = 24.0
    price_per_hour: float = 0.10


@dataclass(frozen=True)
class Outcome:
    """What a number of workers achieves.

    Attributes:
        workers: Their number.
        scans_per_hour: Of all of them, once all have begun.
        days: For the whole cohort.
        cost: For the whole cohort, in the currency of the price.
        efficiency: Scans per hour and worker, as a share of those of a single one.
        storage_busy: Share of the time in which the storage works.
        head_busy: Share of the time in which the head works.
        begin_seconds: Until half of the workers have the model.
    """

    workers: int
    scans_per_hour: float
    days: float
    cost: float
    efficiency: float
    storage_busy: float
    head_busy: float
    begin_seconds: float


class Server:
    """Serves one request at a time, in the order in which they come."""

    def __init__(self) -> None:
        """Begin idle."""
        self.free, self.busy = 0.0, 0.0

    def serve(self, now: float, seconds: float) -> float:
        """The time at which a request that comes now is served."""
        self.free = max(now, self.free) + seconds
        self.busy += seconds
        return self.free


def simulate(plan: Plan, workers: int, seed: int = 0) -> tuple[float, float, float, float]:
    """Simulate a part of the cohort.

    Returns:
        Scans per second, share of the time in which storage and head are busy, and seconds until half of the workers
        have the model.
    """
    rng, storage, head = random.Random(seed), Server(), Server()
    wanted = max(LEAST, EACH * workers)

    def moved(now: float, size: float) -> float:
        """The time at which some bytes have come, or gone, that are asked for now."""
        return max(storage.serve(now, size / plan.storage_bytes), now + size / plan.line_bytes)

    def life() -> float:
        """Seconds until a worker dies."""
        return rng.expovariate(1 / (3600 * plan.lives_hours)) if plan.lives_hours else float("inf")

    # a worker's next step happens at a time: "model" and "scan" ask the storage, "result" too, after the computing
    events = [(plan.start_seconds * rng.uniform(0.8, 1.2), number, "model") for number in range(workers)]
    heapq.heapify(events)
    ends = [life() for _ in range(workers)]
    begun, done, half = 0, [], 0.0
    while len(done) < wanted:
        now, worker, step = heapq.heappop(events)
        if now > ends[worker]:  # its scan is lost
            ends[worker] = now + life()
            heapq.heappush(events, (now + plan.start_seconds, worker, "model"))
        elif step == "model":
            begun += 1
            arrived = moved(now, plan.model_bytes)
            half = arrived if begun == (workers + 1) // 2 else half
            heapq.heappush(events, (arrived, worker, "scan"))
        elif step == "scan":
            given = head.serve(now, plan.head_seconds)
            heapq.heappush(events, (given, worker, "image"))
        elif step == "image":
            ready = moved(now, plan.bytes_in) + plan.seconds_per_scan * rng.uniform(0.7, 1.3)
            heapq.heappush(events, (ready, worker, "result"))
        else:
            written = moved(now, plan.bytes_out)
            done.append(written)
            heapq.heappush(events, (written, worker, "scan"))
    done.sort()
    first, last = len(done) // 4, 3 * len(done) // 4  # neither the beginning nor the end
    return (last - first) / (done[last] - done[first]), storage.busy / done[-1], head.busy / done[-1], half


def outcomes(plan: Plan) -> list[Outcome]:
    """The outcome of each number of workers."""
    found, of_one = [], 0.0
    for workers in WORKERS:
        rate, storage, head, half = simulate(plan, workers)
        of_one = of_one or rate
        hours = plan.scans / rate / 3600
        cost = hours * workers * plan.price_per_hour
        found.append(Outcome(workers, 3600 * rate, hours / 24, cost, rate / (workers * of_one), storage, head, half))
    return found


def limits(plan: Plan) -> dict[str, float]:
    """The number of workers at which storage and head are busy all the time."""
    alone = plan.seconds_per_scan + (plan.bytes_in + plan.bytes_out) / plan.line_bytes + plan.head_seconds
    of_storage = (plan.bytes_in + plan.bytes_out) / plan.storage_bytes
    return {"storage": alone / of_storage, "head": alone / plan.head_seconds}


def parsed() -> argparse.Namespace:
    """The options: one for each number of the plan."""
    parser = argparse.ArgumentParser(description="Throughput and cost of a large cohort on 1 to 1,000 workers.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    for name, value in asdict(Plan()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    return parser.parse_args()


def main() -> None:
    """Print the table, or JSON."""
    given = vars(parsed())
    as_json = given.pop("json")
    plan = Plan(**given)
    found, at = outcomes(plan), limits(plan)
    if as_json:
        print(json.dumps({"plan": asdict(plan), "busy_from": at, "outcomes": [asdict(one) for one in found]}))
        return
    table = Table(title=f"{plan.scans:,} scans, {plan.seconds_per_scan:g} s each")
    for column in ("workers", "scans per hour", "days", "cost", "efficiency", "storage busy", "head busy", "model, s"):
        table.add_column(column, justify="right")
    for one in found:
        shares = [f"{share:.1%}" for share in (one.efficiency, one.storage_busy, one.head_busy)]
        amounts = [f"{one.scans_per_hour:,.0f}", f"{one.days:,.1f}", f"{one.cost:,.0f}"]
        table.add_row(f"{one.workers:,}", *amounts, *shares, f"{one.begin_seconds:.0f}")
    Console().print(table)
    print(f"the storage is busy all the time from {at['storage']:,.0f} workers on, the head from {at['head']:,.0f}")


if __name__ == "__main__":
    main()
