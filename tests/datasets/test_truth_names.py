"""True masks whose files name their lesions: the names give the numbers of the truth's kind."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from weakmask.datasets.case import Case, TruthKind
from weakmask.datasets.cohort import read_cohort
from weakmask.datasets.truth_names import label_by_name
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.progress import collected_notes
from weakmask.volume.files import write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

GRID = Geometry((6, 2, 2), (2.0, 1.0, 1.0), (3.0, 4.0, 5.0))


def folder_of(folder: Path, slices: Mapping[str, int]) -> Path:
    """A folder with a mask of one slice for each name."""
    folder.mkdir(parents=True)
    for name, z in slices.items():
        voxels = np.zeros(GRID.shape, np.uint8)
        voxels[z] = 1
        write_volume(Volume(voxels, GRID, "label"), folder / f"{name}.nii.gz")
    return folder


def slicer_file(path: Path, names: Mapping[str, int]) -> Path:
    """A file of 3D Slicer whose segments have a slice each, by the label of the segment."""
    x, y, z = 2, 2, 6
    labels = np.zeros(GRID.shape, np.uint8)
    fields = ["NRRD0004", "type: uchar", "dimension: 3", "space: left-posterior-superior", f"sizes: {x} {y} {z}"]
    fields += ["space directions: (1,0,0) (0,1,0) (0,0,2)", "encoding: raw", "space origin: (5,4,3)"]
    for number, (name, label) in enumerate(names.items()):
        labels[label] = label
        fields += [f"Segment{number}_Name:={name}", f"Segment{number}_LabelValue:={label}", f"Segment{number}_Layer:=0"]
    path.write_bytes("\n".join([*fields, "", ""]).encode() + labels.tobytes())
    return path


def slices_of(path: Path, kind: TruthKind) -> list[int]:
    truth = usable_truth(Case("a", path, None, path, {}, truth_kind=kind), GRID)
    assert truth is not None
    assert (truth.voxels == truth.voxels[:, :1, :1]).all()
    return truth.voxels[:, 0, 0].tolist()


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("Ground glass opacity", 1), ("ground-glass", 1), ("GGO", 1), ("GroundGlass", 1), ("GGO left lung", 1),
        ("consolidation", 2), ("Pulmonary consolidations", 2), ("mixed", 3), ("GGO + consolidation", 3),
        ("heart", None), ("left lung", None), ("no lesion", None), ("Segment_1", None), ("glass eye", None),
    ],
)  # fmt: skip
def test_names_of_subtypes(name: str, subtype: int | None) -> None:
    of_subtypes, of_lesions = label_by_name("subtypes"), label_by_name("binary")
    assert of_subtypes is not None
    assert of_lesions is not None
    assert of_subtypes(name) == subtype
    assert of_lesions(name) == (None if subtype is None else 1)


def test_segments_of_slicer_get_the_numbers_of_their_subtypes(tmp_path: Path) -> None:
    file = slicer_file(tmp_path / "a.seg.nrrd", {"consolidation": 1, "heart": 3, "GGO": 2})
    with collected_notes() as notes:
        assert slices_of(file, "subtypes") == [0, 2, 1, 0, 0, 0]
    assert notes == [f"{file}: structures of other names are not used: heart"]
    assert slices_of(file, "binary") == [0, 1, 1, 0, 0, 0]
    assert slices_of(file, "classes") == [0, 1, 2, 3, 0, 0]


def test_lesions_without_a_subtype_are_a_binary_truth(tmp_path: Path) -> None:
    assert slices_of(slicer_file(tmp_path / "a.seg.nrrd", {"lungs": 1, "Lesion": 2}), "subtypes") == [0, 0, 1, 0, 0, 0]
    found = folder_of(tmp_path / "b", {"infection_left_lung": 4, "infection_right_lung": 2, "lung_left": 0})
    assert slices_of(found, "subtypes") == [0, 0, 1, 0, 1, 0]
    with pytest.raises(UserError, match=r"named after their subtype and others are not; .*; the truth is not used"):
        slices_of(slicer_file(tmp_path / "c.seg.nrrd", {"lesion": 1, "consolidation": 2}), "subtypes")


def test_a_folder_of_classes_needs_their_numbers(tmp_path: Path) -> None:
    assert slices_of(folder_of(tmp_path / "a", {"class 7": 1, "20": 3}), "classes") == [0, 7, 0, 20, 0, 0]
    with pytest.raises(UserError, match="its structures are cat, dog; rename them"):
        slices_of(folder_of(tmp_path / "b", {"cat": 1, "dog": 3}), "classes")
    assert slices_of(folder_of(tmp_path / "c", {"cat": 1, "dog": 3}), "instances") == [0, 1, 0, 2, 0, 0]


def test_a_cohort_takes_a_folder_of_lesions(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    write_volume(Volume(np.zeros(GRID.shape, np.int16), GRID), tmp_path / "images" / "p1.nii.gz")
    folder_of(tmp_path / "truth" / "p1", {"ground_glass": 0, "consolidation": 5})
    case = read_cohort(tmp_path).cases[0]
    truth = usable_truth(case, GRID)
    assert truth is not None
    assert truth.voxels[:, 0, 0].tolist() == [1, 0, 0, 0, 0, 2]
