"""Batches for the training loop: built one step ahead, moved to the device, and cut into parts to save memory."""

from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
from lightning_fabric import Fabric
from torch import Tensor

from weakmask.errors import UserError

Batch = Mapping[str, Tensor]
BatchAt = Callable[[int], Batch]
SHARE = "share of this rank"  # name of a number beside the tensors of a part


def batches_ahead(batch_at: BatchAt, steps: range, fabric: Fabric, *, prefetch: bool) -> Generator[Batch]:
    """Batches of the given steps on the device; a thread builds the next batch while the caller uses the current one.

    Of several processes that train together each builds the whole batch, so that all draw the same, and keeps its part.

    Args:
        batch_at: Step -> batch.
        steps: The steps.
        fabric: Defines the device, and which of the processes this is.
        prefetch: Build batches ahead; otherwise on demand.

    Raises:
        UserError: A batch has fewer samples than there are processes.
    """

    def built(step: int) -> Batch:
        """The batch of a step, in pinned memory where it goes to a CUDA device."""
        batch = part_of_rank(batch_at(step), fabric.global_rank, fabric.world_size)
        if fabric.device.type != "cuda":
            return batch
        # From pinned memory the copy to the GPU runs in parallel with its computation.
        return {name: tensor if tensor.is_cuda else tensor.pin_memory() for name, tensor in batch.items()}

    if not prefetch:
        for step in steps:
            yield fabric.to_device(built(step))
        return
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as worker:
        coming = worker.submit(built, steps.start) if steps else None
        for step in steps:
            assert coming is not None  # noqa: S101 - for the type checker
            batch = coming.result()
            coming = worker.submit(built, step + 1) if step + 1 < steps.stop else None
            yield fabric.to_device(batch)


def part_of_rank(batch: Batch, rank: int, processes: int) -> Batch:
    """The part of a batch that one of several processes trains on, with `SHARE`, the share of its samples in the batch.

    The parts differ by at most one sample. Of a single process it is the batch itself.

    Raises:
        UserError: There are fewer samples than processes.
    """
    if processes == 1:
        return batch
    samples = len(next(iter(batch.values())))
    if samples < processes:
        raise UserError(
            f"a batch of {samples} samples cannot be shared by {processes} processes; set a batch of at least "
            f"{processes}, or training.devices to {samples} or fewer"
        )
    part = {name: tensor.tensor_split(processes)[rank] for name, tensor in batch.items()}
    count = len(next(iter(part.values())))
    return {**part, SHARE: torch.tensor(count / samples)}


def samples_of(batch: Batch) -> Batch:
    """The tensors of a part of a batch, without `SHARE`."""
    return {name: tensor for name, tensor in batch.items() if name != SHARE}


def parts(batch: Batch, count: int) -> Iterator[tuple[float, Batch]]:
    """Split a batch into nearly equal parts along the sample axis; yield each with its share of the samples.

    Raises:
        ValueError: There are fewer samples than parts.
    """
    if count == 1:
        yield 1.0, batch
        return
    samples = len(next(iter(batch.values())))
    if samples < count:
        raise ValueError(f"a batch of {samples} samples cannot be cut into {count} parts")
    cuts = {name: tensor.tensor_split(count) for name, tensor in batch.items()}
    for i in range(count):
        part = {name: pieces[i] for name, pieces in cuts.items()}
        yield len(next(iter(part.values()))) / samples, part
