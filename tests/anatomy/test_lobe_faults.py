"""Lobe masks: their numberings, and the faults that the positions of the lobes reveal."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from weakmask.anatomy.lobe_faults import lobe_faults
from weakmask.anatomy.lobe_numberings import NUMBERINGS, renumber
from weakmask.errors import UserError
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.regions import region_boxes
from weakmask.volume.volume import Volume

from ..volume.conftest import DIRECTIONS, direction  # noqa: TID252

LOBES = NUMBERINGS["weakmask"]
LOBE_NUMBERINGS = [name for name, numbering in NUMBERINGS.items() if numbering.keys() == LOBES.keys()]
OTHERS = [name for name in LOBE_NUMBERINGS if NUMBERINGS[name] != LOBES]


def drawn_lobes(numbering: str = "weakmask", geometry: Geometry | None = None) -> Volume:
    """Five lobes parted by tilted planes, in world mm (z to the head, y to the back, x to the left)."""
    grid = geometry or Geometry((40, 40, 60), (6.0, 5.0, 5.0), (-117.0, -97.5, -147.5))
    index = np.indices(grid.shape).reshape(3, -1)
    z, y, x = (grid.affine[:3, :3] @ index + grid.affine[:3, 3:]).reshape(3, *grid.shape)
    labels = np.zeros(grid.shape, dtype=np.int16)
    for sign, lobes in ((1, ("LUL", None, "LLL")), (-1, ("RUL", "RML", "RLL"))):
        lung = ((z / 110) ** 2 + (y / 85) ** 2 + ((x - sign * 75) / 60) ** 2) < 1
        below_fissure = z < 1.0 * y
        middle = ~below_fissure & (z < 10) if lobes[1] else np.zeros_like(lung)
        for name, part in zip(lobes, (~below_fissure & ~middle, middle, below_fissure), strict=True):
            if name:
                labels[lung & part] = NUMBERINGS[numbering][name]
    return Volume(labels, grid, "label")


def test_no_numbering_uses_a_label_twice_and_the_house_has_them_all() -> None:
    house = [NUMBERINGS[name].keys() for name in ("weakmask", "lungs", "thirds")]
    for numbering in NUMBERINGS.values():
        assert len(set(numbering.values())) == len(numbering)
        assert min(numbering.values()) > 0
        assert numbering.keys() in house
    assert NUMBERINGS["lungs"] == {"left": 1, "right": 2}


@pytest.mark.parametrize("name", NUMBERINGS)
def test_renumbering_gives_the_house_s_numbers(name: str) -> None:
    theirs = NUMBERINGS[name]
    house = next(NUMBERINGS[h] for h in ("weakmask", "lungs", "thirds") if theirs.keys() == NUMBERINGS[h].keys())
    labels = np.array([0, 200, *theirs.values()], dtype=np.float32).reshape(1, 1, -1)  # 200: some other organ
    mask = Volume(labels, Geometry(labels.shape), "label")
    renumbered = renumber(mask, name)
    assert renumbered.kind == "label"
    assert renumbered.voxels.dtype == np.uint8
    assert renumbered.voxels.ravel().tolist() == [0, 0, *(house[n] for n in theirs)]
    assert renumbered.geometry is mask.geometry


def test_the_high_byte_of_cip_labels_is_not_the_region() -> None:
    labels = np.array([[[9, 512 + 9, 768 + 14, 512]]], dtype=np.uint16)
    mask = Volume(labels, Geometry((1, 1, 4)), "label")
    assert renumber(mask, "cip_thirds").voxels.ravel().tolist() == [1, 1, 6, 0]


def test_renumbering_refuses_what_cannot_be() -> None:
    mask = drawn_lobes()
    with pytest.raises(UserError, match=r"unknown numbering 'mine'; expected one of weakmask, lungs"):
        renumber(mask, "mine")
    with pytest.raises(UserError, match=r"has none of the totalsegmentator labels LUL 10, LLL 11"):
        renumber(mask, "totalsegmentator")


@pytest.mark.parametrize("name", DIRECTIONS)
def test_sound_lobes_have_no_faults_in_any_direction(name: str) -> None:
    matrix = np.asarray(direction(name))
    spacing, shape = np.array([6.0, 5.0, 5.5]), np.array([60, 66, 64])
    origin = -matrix @ (spacing * (shape - 1) / 2)
    grid = Geometry(tuple(shape.tolist()), tuple(spacing.tolist()), tuple(origin.tolist()), direction(name))
    assert lobe_faults(drawn_lobes(geometry=grid)) == []


@pytest.mark.parametrize("name", OTHERS)
def test_another_numbering_is_recognised(name: str) -> None:
    mask = drawn_lobes(name)
    faults = lobe_faults(mask)
    assert faults[-1].startswith(f"looks like {name} numbering (")
    assert lobe_faults(renumber(mask, name)) == []


def test_the_swap_of_rtsu_is_named() -> None:
    faults = lobe_faults(drawn_lobes("rtsu"))
    assert "RLL lies further in front in the patient than RML" in faults
    assert faults[-1] == (
        "looks like rtsu numbering (RLL 4, RML 5): write `numbering: rtsu` in regions.yaml, give --numbering rtsu, or "
        "renumber the mask"
    )


@pytest.mark.parametrize(
    ("axis", "text"), [(2, "left and right exchanged"), (0, "head and feet exchanged"), (1, "front and back exchanged")]
)
def test_mirrored_headers_are_recognised(axis: int, text: str) -> None:
    mask = drawn_lobes()
    mirrored = Volume(np.flip(mask.voxels, axis), mask.geometry, "label")
    faults = lobe_faults(mirrored)
    assert text in faults[-1]
    assert all("in the patient than" in fault for fault in faults[:-1])


@pytest.mark.parametrize(
    ("one", "other"), [("LUL", "LLL"), ("RUL", "RLL"), ("LUL", "RUL"), ("LLL", "RLL"), ("RUL", "RML")]
)
def test_two_exchanged_lobes_are_caught(one: str, other: str) -> None:
    mask = drawn_lobes()
    swapped = mask.voxels.copy()
    swapped[mask.voxels == LOBES[one]], swapped[mask.voxels == LOBES[other]] = LOBES[other], LOBES[one]
    faults = lobe_faults(mask.with_voxels(swapped))
    assert faults
    assert any(one in fault or other in fault for fault in faults)


def test_missing_lobes_are_named() -> None:
    mask = drawn_lobes()
    without = np.where(np.isin(mask.voxels, (LOBES["RML"], LOBES["LUL"])), 0, mask.voxels)
    assert lobe_faults(mask.with_voxels(without)) == ["no voxel of LUL 1, RML 4"]


def test_impossible_volumes_are_named() -> None:
    mask = drawn_lobes()
    shrunk = mask.voxels.copy()
    middle = np.argwhere(shrunk == LOBES["RML"])
    to_centre = np.linalg.norm(middle - middle.mean(axis=0), axis=1)
    shrunk[tuple(middle[to_centre > 1.5].T)] = 0
    (fault,) = lobe_faults(mask.with_voxels(shrunk))
    assert fault.startswith("RML has 0.")
    assert "expected 0.4% to 30%" in fault


@pytest.mark.parametrize("name", ["lungs", "lungmask_r231", "cip_lungs", "thirds", "cip_thirds"])
def test_masks_of_lungs_or_thirds_are_recognised(name: str) -> None:
    lobes = drawn_lobes()
    left = np.isin(lobes.voxels, (1, 2))
    height = np.indices(lobes.voxels.shape)[0] // 14
    labels = np.zeros(lobes.voxels.shape, dtype=np.int16)
    for region, label in NUMBERINGS[name].items():
        third = {"upper": 2, "middle": 1, "lower": 0}.get(region.split()[-1])
        side = left if region.startswith("left") else (lobes.voxels > 0) & ~left
        labels[side & ((height == third) if third is not None else True)] = label
    assert f"looks like {name} numbering" in lobe_faults(lobes.with_voxels(labels))[-1]


@pytest.mark.real_data
def test_the_average_adult_lung_is_accepted_and_its_exchanges_are_not(real_data: Callable[[str], Path]) -> None:
    template = read_volume(real_data("lung_template") / "lung_template_lobe.nii.gz", kind="label")
    assert lobe_faults(template) == []
    theirs = np.zeros_like(template.voxels)
    for name, label in LOBES.items():
        theirs[template.voxels == label] = NUMBERINGS["rtsu"][name]
    faults = lobe_faults(template.with_voxels(theirs))
    assert faults[-1].startswith("looks like rtsu numbering (RLL 4, RML 5)")


@pytest.mark.real_data
@pytest.mark.parametrize("case", ["0004", "0006", "0007", "0011", "0012"])
def test_real_lobes_of_mr_are_numbered_another_way(real_data: Callable[[str], Path], case: str) -> None:
    mask = read_volume(real_data("lung_mr_lobes") / "ProtonLobeMasks" / f"{case}Lobes.nii.gz", kind="label")
    assert "looks like proton_mr numbering" in lobe_faults(mask)[-1]
    assert lobe_faults(renumber(mask, "proton_mr")) == []


@pytest.mark.real_data
def test_real_thirds_fit_their_numbering(real_data: Callable[[str], Path]) -> None:
    mask = read_volume(real_data("cip_lowres_ct") / "lm-64.nrrd", kind="label")
    assert "looks like cip_thirds numbering" in lobe_faults(mask)[-1]
    thirds = renumber(mask, "cip_thirds")
    whole = read_volume(real_data("cip_lowres_ct") / "wholeLung-64.nrrd", kind="label")
    assert list(region_boxes(thirds)) == [1, 2, 3, 4, 5, 6]
    assert not (thirds.voxels[whole.voxels == 0] > 0).any()
