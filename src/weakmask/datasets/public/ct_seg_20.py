"""COVID-19-CT-Seg-20: chest CTs with masks of lungs and infections.

    FOLDER/
      COVID-19-CT-Seg_20cases/NAME.nii.gz
      Lung_Mask/NAME.nii.gz               1 left lung, 2 right lung
      Infection_Mask/NAME.nii.gz

The ten scans `radiopaedia_...` were cut to -1250 to 250 HU and stored as 0 to 255, as the authors say; they become
Hounsfield units again. Ma et al., Medical Physics 48(3), 2021.
"""

import re
from pathlib import Path

import numpy as np

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.mask_checks import on_grid
from weakmask.datasets.public.published import ALL, Published, folder_with
from weakmask.errors import UserError
from weakmask.progress import track
from weakmask.scoring.severity import CT_SEVERITY, region_fractions
from weakmask.volume.files import read_volume, scan_name
from weakmask.volume.volume import Volume

SCANS, LUNGS, INFECTIONS = "COVID-19-CT-Seg_20cases", "Lung_Mask", "Infection_Mask"
WINDOW_HU = (-1250.0, 250.0)
CASE_OF_RADIOPAEDIA = re.compile(r"(radiopaedia_\d+)_")  # a case of the site, whose scans are of one patient
SIDES = NUMBERINGS["lungs"]


def read_ct_seg_20(folder: Path, part: str = ALL) -> Published:
    """The scans, each lung with the CT severity score of its share of infection; the masks are read for that.

    Args:
        folder: The data set.
        part: `coronacases`, `radiopaedia` or `all`.

    Raises:
        UserError: No scans, or a mask that is missing or faulty.
    """
    folder = folder_with(folder, LUNGS)
    scans = folder / SCANS if (folder / SCANS).is_dir() else folder
    files = [file for file in sorted(scans.glob("*.nii*")) if part == ALL or file.name.startswith(part)]
    if not files:
        raise UserError(f"{folder}: has no scans in {SCANS}/; fetch the data set again")
    cases = tuple(_case(folder, file) for file in track(files, "scores", len(files)))
    names = {label: name for name, label in SIDES.items()}
    return Published(Cohort(folder, CT_SEVERITY, names, cases, ()), image_of=in_hounsfield)


def in_hounsfield(case: Case) -> Volume | None:
    """A scan of 8 bits in Hounsfield units; None for a scan that is in them already."""
    if not case.name.startswith("radiopaedia"):
        return None
    image = read_volume(case.image)
    low, high = float(image.voxels.min()), float(image.voxels.max())
    if low < 0 or high > 255:
        return None
    least, most = WINDOW_HU
    hounsfield = least + image.voxels.astype(np.float32) * ((most - least) / 255)
    return image.with_voxels(np.rint(hounsfield).astype(np.int16))


def _case(folder: Path, file: Path) -> Case:
    name = scan_name(file)
    lungs, infections = (_mask(folder / kind, name) for kind in (LUNGS, INFECTIONS))
    regions = read_volume(lungs, "label")
    infected = on_grid(read_volume(infections, "label"), regions.geometry, infections)
    shares = region_fractions(infected.voxels, regions.voxels, list(SIDES.values()))
    scores = {label: CT_SEVERITY.score_of(share) for label, share in shares.items() if not np.isnan(share)}
    of_site = CASE_OF_RADIOPAEDIA.match(name)
    return Case(name, file, lungs, infections, scores, of_site[1] if of_site else "", truth_kind="binary")


def _mask(folder: Path, name: str) -> Path:
    for suffix in (".nii.gz", ".nii"):
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    raise UserError(f"{folder / name}.nii.gz: no such file; fetch the data set again")
