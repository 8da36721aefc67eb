"""The stacks of the table of mitochondria: phantoms, and two real ones, written as cohorts.

OUT/cohorts/PART/ holds training/, test/ and, where the part has noisy sections, noisy/. The real stacks come from the
folder of the data: em_drosophila_vnc/ (Gerhard et al. 2013) and cdeep3m_sbem/ (Haberl et al. 2018).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from weakmask.atomic_write import atomic_file, atomic_folder
from weakmask.csv_table import write_csv
from weakmask.datasets.cohort import read_cohort
from weakmask.errors import UserError
from weakmask.experiments.experiment import Place, Setup
from weakmask.methods.mitochondria.prepare import true_instances
from weakmask.methods.mitochondria.working_stack import NM_PER_MM, grey_bytes
from weakmask.phantoms.em_cohort import write_em_cohort
from weakmask.phantoms.em_statistics import stack_statistics
from weakmask.terminal import say
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Float3, Geometry
from weakmask.volume.storage_order import upright
from weakmask.volume.volume import Volume

TRAINING, TEST, NOISY = "training", "test", "noisy"
PHANTOMS_ALONE = "phantoms-alone"  # a row
TRAINING_SEED, TEST_SEED, NOISY_SEED = 1, 2, 3  # of phantoms
VNC_NM: Float3 = (50.0, 4.6, 4.6)
CDEEP3M_NM: Float3 = (24.0, 10.0, 10.0)
SMOOTH_SIGMA = 1.0  # in pixels: `smooth` is `noisy` after this Gaussian, to rounding
STATISTICS = "stacks.csv"


@dataclass(frozen=True)
class Part:
    """One fold of the table.

    Attributes:
        of: Its data set.
        training: First and last section of each stack to train on.
        test: First and last section of the stack to test on.
    """

    of: str
    training: tuple[tuple[int, int], ...] = ()
    test: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.of}-{self.test[0]:02d}-{self.test[1]:02d}" if self.training else self.of


PARTS = (
    Part("phantoms"),
    Part("vnc", ((7, 19),), (0, 6)),
    Part("vnc", ((0, 6), (14, 19)), (7, 13)),
    Part("vnc", ((0, 13),), (14, 19)),
    Part("cdeep3m", ((10, 29),), (30, 39)),
)
SETS = {of: tuple(k for k, part in enumerate(PARTS) if part.of == of) for of in ("phantoms", "vnc", "cdeep3m")}
FOLDERS = {"vnc": "em_drosophila_vnc", "cdeep3m": "cdeep3m_sbem"}
TITLES = {"phantoms": "phantoms", "vnc": "Drosophila VNC", "cdeep3m": "mouse brain, CDeep3M"}
PRETENDED = {"vnc": (50.0, 18.4, 18.4), "cdeep3m": (24.0, 20.0, 20.0)}  # voxels of phantoms that stand for these stacks


def part_of(place: Place) -> Part:
    """The part of a place."""
    return PARTS[place.fold or 0]


def cohorts_of(setup: Setup, place: Place) -> tuple[Path, Path]:
    """The cohorts of a place; rows of noisy sections and of phantoms alone have others than the rest."""
    part, cohorts = part_of(place), setup.out / "cohorts"
    test = NOISY if place.row.startswith(NOISY) else TEST
    if place.row == PHANTOMS_ALONE:
        return cohorts / f"phantoms-for-{part.of}", cohorts / f"{part.of}-whole" / TEST
    return cohorts / part.name / TRAINING, cohorts / part.name / test


def make_cohorts(setup: Setup, places: Collection[Place]) -> None:
    """Write the cohorts of these places that do not exist yet, and the statistics of each set's stacks.

    Raises:
        UserError: A set needs its data and the folder is not given or lacks it, or the output cannot be written.
    """
    sets = {part_of(place).of for place in places}
    if missing := [of for of in FOLDERS if of in sets and not (setup.data / FOLDERS[of]).is_dir()]:
        folders = " and ".join(FOLDERS[of] for of in missing)
        where = "no --data" if setup.data == Path() else str(setup.data)
        raise UserError(
            f"{where}: {' and '.join(missing)} needs {folders}; give --data FOLDER that holds them, or --sets phantoms"
        )
    wanted = {folder: part_of(place) for place in places for folder in cohorts_of(setup, place)}
    for folder, part in wanted.items():
        if not folder.exists():
            say("cohort", str(folder))
            _write(folder, part, setup)
    for of in sets:
        _write_statistics(setup, of)


def _write(folder: Path, part: Part, setup: Setup) -> None:
    """Write one cohort."""
    preset = setup.preset
    if folder.name.startswith("phantoms-for-"):
        write_em_cohort(folder, preset.training_scans, TRAINING_SEED, preset.shape, PRETENDED[part.of])
    elif part.of == "phantoms":
        scans, seed, style = {
            TRAINING: (preset.training_scans, TRAINING_SEED, "plain"),
            TEST: (preset.test_scans, TEST_SEED, "plain"),
            NOISY: (preset.test_scans, NOISY_SEED, "noisy"),
        }[folder.name]
        spacing: Float3 = tuple(edge * NM_PER_MM for edge in preset.spacing_mm)  # pyright: ignore[reportAssignmentType]
        write_em_cohort(folder, scans, seed, preset.shape, spacing, style)
    else:
        stacks = part.training if folder.name == TRAINING else (part.test,)
        if folder.parent.name.endswith("-whole"):
            stacks = (whole_of(part.of),)
        write_real(folder, setup.data / FOLDERS[part.of], part.of, stacks, noisy=folder.name == NOISY)


def whole_of(of: str) -> tuple[int, int]:
    """First and last section of a real set that are tested on, in any fold."""
    tested = [PARTS[k].test for k in SETS[of]]
    return min(first for first, _ in tested), max(last for _, last in tested)


def write_real(folder: Path, data: Path, of: str, stacks: Iterable[tuple[int, int]], *, noisy: bool = False) -> None:
    """Write sections of a real set as stacks of a cohort with masks.

    Args:
        folder: The new cohort.
        data: Folder of the set.
        of: Its name in `FOLDERS`.
        stacks: First and last section of each stack.
        noisy: Of CDeep3M the sections as they are; else after a Gaussian, as its sample `smooth`.
    """
    z, y, x = (edge / NM_PER_MM for edge in (VNC_NM if of == "vnc" else CDEEP3M_NM))
    with atomic_folder(folder) as temporary:
        for name in ("images", "truth"):
            (temporary / name).mkdir(parents=True)
        for first, last in stacks:
            sections = range(first, last + 1)
            image = np.concatenate([_section(data, of, number, noisy=noisy) for number in sections])
            masks = data / "mitochondria"
            mask = np.concatenate([_read(masks / (_name(of, number) + ".png"), "label") for number in sections]) > 0
            geometry = Geometry(image.shape, (z, y, x))  # pyright: ignore[reportArgumentType]
            name = f"{of}_{first:02d}_{last:02d}"
            write_volume(Volume(image, geometry), temporary / "images" / f"{name}.nii.gz")
            write_volume(Volume(mask.astype(np.uint8), geometry, "label"), temporary / "truth" / f"{name}.nii.gz")
        (temporary / "truth.yaml").write_text("kind: binary\n", encoding="utf-8")


def _section(data: Path, of: str, number: int, *, noisy: bool) -> np.ndarray:
    """The grey values of a section (1, y, x)."""
    name = _name(of, number)
    if of == "vnc":
        return grey_bytes(_read(data / "raw" / f"{name}.tif"))
    smooth = data / "smooth" / f"{name}.png"
    if smooth.exists() and not noisy:
        return _read(smooth)
    raw = _read(data / "noisy" / f"{name}.png")
    if noisy:
        return raw
    blurred = ndimage.gaussian_filter(raw.astype(np.float32), (0, SMOOTH_SIGMA, SMOOTH_SIGMA))
    return np.rint(blurred).astype(np.uint8)


def _name(of: str, number: int) -> str:
    return f"{number:02d}" if of == "vnc" else f"{number:03d}"


def _read(file: Path, kind: str = "image") -> np.ndarray:
    """A section of a data set, whose 1-bit pictures are read right."""
    return read_volume(file, "label" if kind == "label" else "image").voxels


def _write_statistics(setup: Setup, of: str) -> None:
    """Write the statistics of the test stacks of a set beside its cohorts, once."""
    file = setup.out / "cohorts" / f"{of}-{STATISTICS}"
    if file.exists():
        return
    rows: list[dict[str, object]] = []
    for k in SETS[of]:
        folder = setup.out / "cohorts" / PARTS[k].name / TEST
        if folder.exists():
            rows += [{"set": of, "stack": name, **numbers} for name, numbers in _statistics(folder)]
    if rows:
        with atomic_file(file) as temporary:
            write_csv(pd.DataFrame(rows), temporary, "%.6g")


def _statistics(folder: Path) -> Sequence[tuple[str, dict[str, float]]]:
    """Name and statistics of each stack of a cohort."""
    found = []
    for case in read_cohort(folder).cases:
        image = upright(case.read_image())
        truth = true_instances(case, image.geometry)
        if truth is not None:
            found.append((case.name, stack_statistics(grey_bytes(image.voxels), truth)))
    return found
