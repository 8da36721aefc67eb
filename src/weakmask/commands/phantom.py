"""`weakmask phantom`: write a cohort of phantoms of one kind."""

from dataclasses import dataclass
from pathlib import Path

from weakmask.errors import UserError
from weakmask.phantoms.chest_ct import SHAPE, SPACING_MM, write_phantom_cohort
from weakmask.phantoms.em_cohort import SHAPE as EM_SHAPE
from weakmask.phantoms.em_cohort import SPACING_NM, write_em_cohort
from weakmask.phantoms.picture_cohorts import write_photograph_cohort, write_xray_cohort
from weakmask.volume.geometry import Float3, Index3

SIDE_PX = 256
STYLES = {"em": "plain", "em-easy": "easy", "em-noisy": "noisy"}  # kind -> style of a stack
KINDS = ("chest-ct", "chest-xray", "photographs", *STYLES)


@dataclass(frozen=True)
class PhantomRequest:
    """The request of a user; None: the user does not say.

    Attributes:
        kind: One of `KINDS`.
        count: How many.
        seed: Seed of the cohort.
        size: Voxels of a CT or a stack.
        spacing: Voxel edges of a CT in mm, of a stack in nm.
        reader_noise: Probability that the score of a CT is off by one.
        side: Pixels of a side of a picture.
    """

    kind: str
    count: int
    seed: int
    size: Index3 | None = None
    spacing: Float3 | None = None
    reader_noise: float | None = None
    side: int | None = None


def write_phantoms(folder: Path, request: PhantomRequest) -> None:
    """Write a cohort.

    Raises:
        UserError: The folder is not empty, a number is out of range, or a flag does not belong to the kind.
        MachineError: The folder cannot be written.
    """
    if request.kind not in KINDS:
        raise UserError(f"--kind {request.kind}: expected one of {', '.join(KINDS)}")
    of_pictures, of_volumes = ("side",), ("size", "spacing", "reader_noise")
    others = {"chest-ct": of_pictures} | dict.fromkeys(STYLES, ("reader_noise", *of_pictures))
    foreign = others.get(request.kind, of_volumes)
    given = next((name for name in foreign if getattr(request, name) is not None), None)
    if given is not None:
        raise UserError(f"--kind {request.kind} takes no --{given.replace('_', '-')}; leave it out")
    if request.kind == "chest-ct":
        shape, spacing, noise = request.size or SHAPE, request.spacing or SPACING_MM, request.reader_noise or 0.0
        write_phantom_cohort(folder, request.count, request.seed, shape, spacing, noise)
        return
    if request.kind in STYLES:
        shape, spacing = request.size or EM_SHAPE, request.spacing or SPACING_NM
        write_em_cohort(folder, request.count, request.seed, shape, spacing, STYLES[request.kind])
        return
    write = write_xray_cohort if request.kind == "chest-xray" else write_photograph_cohort
    write(folder, request.count, request.seed, request.side or SIDE_PX)
