"""Batches for the training loop: built one step ahead, moved to the device, and cut into parts to save memory."""

from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from lightning_fabric import Fabric
from torch import Tensor

Batch = Mapping[str, Tensor]
BatchAt = Callable[[int], Batch]


def batches_ahead(batch_at: BatchAt, steps: range, fabric: Fabric, *, prefetch: bool) -> Generator[Batch]:
    """Batches of the given steps on the device; a thread builds the next batch while the caller uses the current one.

    Args:
        batch_at: Step -> batch.
        steps: The steps.
        fabric: Defines the device.
        prefetch: Build batches ahead; otherwise on demand.
    """

    def built(step: int) -> Batch:
        """The batch of a step, in pinned memory where it goes to a CUDA device."""
        batch = batch_at(step)
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
