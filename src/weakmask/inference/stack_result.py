"""The result of a model for a stack on the disk: computed, written and shown block by block."""

import time
from collections.abc import Collection
from functools import partial
from pathlib import Path

import numpy as np

from weakmask.atomic_write import scratch_folder
from weakmask.errors import UserError
from weakmask.inference.result_files import TABLE, Content, layer_files, save_content
from weakmask.inference.scan_record import RECORD, ScanRecord
from weakmask.inference.trained_model import Model
from weakmask.pipeline import provenance
from weakmask.prediction import StackPrediction, StackSegmenter, value_rows
from weakmask.progress import collected_notes, note
from weakmask.regions.scan_regions import RegionSource
from weakmask.volume.blocks import blocks_of
from weakmask.volume.intensity import nonfinite_count
from weakmask.volume.new_arrays import OnDisk
from weakmask.volume.stack import Stack
from weakmask.volume.stack_files import open_stack, write_stack


def save_stack_result(
    model: Model, image: Path, name: str, folder: Path, replaceable: Collection[str] = (), *, shared: bool = False
) -> ScanRecord:
    """Segment a stack block by block and write the folder of its result, complete or not at all.

    Intermediate results lie in a hidden folder beside it, which is removed at the end.

    Args:
        model: A model whose segmenter is a `StackSegmenter`.
        image: The stack.
        name: Of the stack.
        folder: The folder of the result.
        replaceable: As in `Result.save_into`.
        shared: As in `Result.save_into`.

    Returns:
        The record that the folder holds now.

    Raises:
        UserError: The stack cannot be read, has voxels that are not finite, or does not fit the model; or a file is in
            the folder that no result left, or that was changed since.
        TypeError: The model does not segment stacks.
        MachineError: The folder cannot be written.
    """
    segmenter, start = model.segmenter, time.perf_counter()
    if not isinstance(segmenter, StackSegmenter):
        raise TypeError(f"{model!r} takes no stacks; expected a StackSegmenter")
    origin = model.origin(image, RegionSource(lobe_model=None))
    with scratch_folder(folder if shared else folder.parent) as scratch:
        with collected_notes() as warnings:
            stack = open_stack(image)
            _refuse_nonfinite(stack)
            found = segmenter.segment_stack(name, stack, OnDisk(scratch))
        for line in warnings:
            note(line, again=True)
        record = ScanRecord(
            scan=name,
            image=str(image.absolute()),
            model_file="" if model.file is None else str(model.file.absolute()),
            origin=origin,
            ids={},
            rows=value_rows(name, found.values),
            statistics=[],
            severity=None,
            region_names={},
            hounsfield=False,
            window=(0.0, 255.0),
            is_empty=False,
            warnings=tuple(warnings),
            seconds=round(time.perf_counter() - start, 3),
            files={},
            provenance=provenance(),
        )
        names = layer_files("instances", image)
        content = Content(_layers(found, names, stack), {TABLE: found.instances}, {}, record)
        return save_content(content, folder, [*names.values(), RECORD], replaceable, shared=shared)


def _layers(found: StackPrediction, names: dict[str, str], stack: Stack) -> dict[str, partial[None]]:
    """The functions that write the volumes of a result."""
    volumes = {"mask": (found.mask, np.uint32), "activation": (found.maps["activation"], np.uint8)}
    return {
        names[layer]: partial(write_stack, voxels, spacing_nm=stack.spacing_nm, dtype=dtype)
        for layer, (voxels, dtype) in volumes.items()
    }


def _refuse_nonfinite(stack: Stack) -> None:
    """Refuse a stack with voxels that are NaN or infinite.

    Raises:
        UserError: Some voxel is NaN or infinite.
    """
    blocks = blocks_of(stack) if stack.dtype.kind == "f" else ()
    count = sum(nonfinite_count(stack[block]) for block in blocks)
    if count:
        raise UserError(
            f"{stack.path}: {count} of {int(np.prod(stack.shape, dtype=object))} voxels are NaN or infinite; expected "
            "numbers everywhere; fill them and save the stack again"
        )
