"""The prepare stage: cohort -> stacks and instances on the working grid; some sections of each are for validation."""

from collections.abc import Iterator

import cc3d
import numpy as np
from jaxtyping import Integer

from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.cohort import cases_with, read_cohort
from weakmask.datasets.cohort_checks import check_case
from weakmask.datasets.seen_scans import refuse_seen
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.methods.mitochondria.config import MitochondriaSettings
from weakmask.methods.mitochondria.stack_index import TEST, TRAINING, StackRow, image_file, labels_file, write_index
from weakmask.methods.mitochondria.working_stack import (
    NM_PER_MM,
    binned,
    binning_of,
    grey_bytes,
    spacing_nm_of,
    thinned,
)
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import noted_cohort
from weakmask.progress import track
from weakmask.volume.files import refuse_nonfinite, write_volume
from weakmask.volume.geometry import Float3, Geometry
from weakmask.volume.storage_order import upright
from weakmask.volume.volume import Volume


def prepare(work: Work[MitochondriaSettings]) -> None:
    """Write training/ and test/ with NAME-image.nii and NAME-labels.nii, and index.csv; faulty stacks are noted.

    Raises:
        UserError: No stack has a usable truth, or test stacks are trained on.
    """
    data = work.config.data
    cohort = noted_cohort(data.cohort, work)
    cases = cases_with(cohort, "truth")
    if data.test is not None and not data.seen:
        tested = read_cohort(data.test).cases
        refuse_seen(*({case.name: case.scan_file for case in some} for some in (cases, tested)))
    rows = list(_prepared(work, cohort, cases, TRAINING))
    if not rows:
        raise UserError(f"{data.cohort}: no stack has a usable truth to learn from; run `weakmask check` on it")
    if not any(row.instances for row in rows):
        raise UserError(f"{data.cohort}: no true instance in any stack; expected some to learn from")
    if data.test is not None:
        tested = noted_cohort(data.test, work)
        rows += _prepared(work, tested, list(tested.cases), TEST)
    elif data.validation == 0:
        work.note("data.test is null and data.validation 0: all sections are trained on, and nothing is evaluated")
    write_index(rows, work.out)


def true_instances(case: Case, grid: Geometry) -> Integer[np.ndarray, "z y x"] | None:
    """The true instances of a stack: those of the file, or the components (6 neighbours) of a mask.

    Args:
        case: The case.
        grid: Of its upright image.

    Raises:
        UserError: The truth cannot be used.
    """
    if case.truth is not None and case.truth_kind == "classes":
        raise UserError(f"{case.truth}: a mask of classes; expected `kind: instances` or `kind: binary` in truth.yaml")
    truth = usable_truth(case, grid)
    if truth is None:
        return None
    if case.truth_kind == "instances":
        return truth.voxels.astype(np.int32)
    return np.asarray(cc3d.connected_components((truth.voxels > 0).astype(np.uint8), connectivity=6)).astype(np.int32)


def _prepared(work: Work[MitochondriaSettings], cohort: Cohort, cases: list[Case], part: str) -> Iterator[StackRow]:
    """Write the usable stacks of a part and give their rows of the table."""
    from_masks = 0
    for case in track(cases, "stacks", len(cases)):
        try:
            with memory_for(case.image, in_stage=True):
                usable, faults = check_case(case, cohort, hounsfield=False)
                for fault in faults:
                    work.note(f"left out {case.name}: {fault.message}" if usable is None else fault.message)
                if usable is None or (part == TRAINING and usable.truth is None):
                    continue
                row = _save(usable, work, part)
        except UserError as error:
            work.note(f"left out {case.name}: {error}")
            continue
        from_masks += row.instances if usable.truth_kind != "instances" else 0
        yield row
    if from_masks:
        work.note(
            f"{cohort.folder}: masks without instances became {from_masks} components (6 neighbours); instances that "
            "touch are one"
        )


def _save(case: Case, work: Work[MitochondriaSettings], part: str) -> StackRow:
    """Write a stack and its instances on the working grid; its row of the table."""
    config = work.config
    work.hash_input(case.image)
    image = upright(case.read_image())
    refuse_nonfinite(image, case.image)
    spacing = spacing_nm_of(image, config, case.name)
    factor = binning_of(spacing, config.prepare.pixel_nm)
    grey = binned(grey_bytes(image.voxels), factor)
    found = true_instances(case, image.geometry)
    labels = np.zeros(grey.shape, np.int32) if found is None else thinned(found, factor)
    kept = max(1, round(config.data.validation * len(grey))) if config.data.validation else 0
    if part == TRAINING and kept >= len(grey):
        raise UserError(
            f"{len(grey)} section(s), of which data.validation keeps {kept}; expected a stack of more sections"
        )
    row = StackRow(
        case.name,
        case.group,
        part,
        sections=len(grey),
        first_training=kept if part == TRAINING and config.data.validation_at == "first" else 0,
        training_sections=len(grey) - kept if part == TRAINING else 0,
        rows=image.voxels.shape[1],
        columns=image.voxels.shape[2],
        binning=factor,
        z_nm=spacing[0],
        y_nm=spacing[1],
        x_nm=spacing[2],
        instances=len(np.unique(labels[labels > 0])),
        foreground=float((labels > 0).mean()),
    )
    (work.out / part).mkdir(exist_ok=True)
    geometry = _working_geometry(grey, spacing, factor)
    write_volume(Volume(grey, geometry), image_file(work.out, row))
    if case.truth is not None:
        work.hash_input(case.truth)
        write_volume(Volume(labels, geometry, "label"), labels_file(work.out, row))
    return row


def _working_geometry(grey: np.ndarray, spacing_nm: Float3, factor: int) -> Geometry:
    z, y, x = (edge * step / NM_PER_MM for edge, step in zip(spacing_nm, (1, factor, factor), strict=True))
    depth, rows, columns = grey.shape
    return Geometry((depth, rows, columns), (z, y, x))
