import numpy as np
import pytest

from weakmask.errors import UserError
from weakmask.progress import collected_notes
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.volume import Volume

NUMBERS = {"lung_left": 1, "lung_right": 2}
LEFT = np.zeros((3, 20, 20), np.uint8)
LEFT[:, 2:18, 11:18] = 1
RIGHT = LEFT[:, :, ::-1]


def save(path, voxels, spacing=(2, 1, 1)):
    path.parent.mkdir(exist_ok=True)
    write_volume(Volume.from_array(voxels, spacing, "label"), path)


def read(folder):
    with collected_notes() as notes:
        return read_volume(folder, "label", label_of=NUMBERS.get), [note.removeprefix(f"{folder}: ") for note in notes]


def test_a_mask_for_each_structure_named_after_it(tmp_path):
    """As TotalSegmentator writes them, a folder for each scan."""
    folder = tmp_path / "p1"
    save(folder / "lung_right.nii.gz", RIGHT)
    save(folder / "heart.nii.gz", np.ones_like(LEFT), (9, 9, 9))  # not read
    save(folder / "lung_left.nii.gz", LEFT)
    volume, notes = read(folder)
    assert np.array_equal(volume.voxels, LEFT + 2 * RIGHT)
    assert volume.geometry.spacing_mm == (2, 1, 1)
    assert notes == ["structures of other names are not used: heart"]


def test_without_names_to_look_for_structures_are_numbered_by_name(tmp_path):
    save(tmp_path / "p1" / "b.nii.gz", LEFT)
    save(tmp_path / "p1" / "a.nii.gz", RIGHT)
    assert np.array_equal(read_volume(tmp_path / "p1", "label").voxels, RIGHT + 2 * LEFT)


def test_the_only_file_is_the_label_map(tmp_path):
    save(tmp_path / "p1" / "mask.nii.gz", LEFT + 2 * RIGHT)
    assert np.array_equal(read(tmp_path / "p1")[0].voxels, LEFT + 2 * RIGHT)


def test_few_voxels_of_two_structures_are_noted_and_many_refused(tmp_path):
    both = RIGHT.copy()
    both[0, 2, 11:13] = 1
    save(tmp_path / "p1" / "lung_left.nii.gz", LEFT)
    save(tmp_path / "p1" / "lung_right.nii.gz", both)
    volume, notes = read(tmp_path / "p1")
    assert np.array_equal(volume.voxels, LEFT + 2 * RIGHT)
    assert notes == ["2 voxels of 'lung_right' belong to another structure, too, which keeps them"]
    both[0] = 1
    save(tmp_path / "p1" / "lung_right.nii.gz", both)
    with pytest.raises(UserError, match="structure 'lung_right' shares 112 voxels with the one numbered 1"):
        read(tmp_path / "p1")


def test_refuses_other_grids_and_folders_without_known_names(tmp_path):
    save(tmp_path / "p1" / "heart.nii.gz", LEFT)
    save(tmp_path / "p1" / "liver.nii.gz", LEFT)
    with pytest.raises(UserError, match="its structures are heart, liver; rename them, or save the labels as one of"):
        read(tmp_path / "p1")
    save(tmp_path / "p2" / "lung_left.nii.gz", LEFT)
    save(tmp_path / "p2" / "lung_right.nii.gz", RIGHT, (3, 1, 1))
    with pytest.raises(UserError, match=r"lung_right.nii.gz: its grid is not that of lung_left.nii.gz"):
        read(tmp_path / "p2")
