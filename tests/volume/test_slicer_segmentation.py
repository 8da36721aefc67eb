import gzip

import numpy as np
import pytest

from weakmask.errors import UserError
from weakmask.progress import collected_notes
from weakmask.volume.files import read_volume, scan_name

NUMBERS = {"left": 7, "right": 9}


def segmentation(path, layers, segments, **fields):
    """A file as 3D Slicer writes it: layers (layer, z, y, x) and (name, label, layer) of each segment."""
    layers = np.asarray(layers, np.uint8)
    count, z, y, x = layers.shape
    stated = {"type": "uchar", "dimension": 4, "space": "left-posterior-superior", "sizes": f"{count} {x} {y} {z}"}
    stated |= {"space directions": "none (0.7,0,0) (0,0.8,0) (0,0,1.5)", "kinds": "list domain domain domain"}
    if count == 1:
        stated |= {"dimension": 3, "sizes": f"{x} {y} {z}", "kinds": "domain domain domain"}
        stated["space directions"] = "(0.7,0,0) (0,0.8,0) (0,0,1.5)"
    stated |= {"encoding": "gzip", "space origin": "(1,2,3)", **fields}
    pairs = []
    for number, (name, label, layer) in enumerate(segments):
        pairs += [f"Segment{number}_Name:={name}", f"Segment{number}_ID:=Segment_{number + 1}"]
        pairs += [f"Segment{number}_LabelValue:={label}", f"Segment{number}_Layer:={layer}"]
        pairs += [f"Segment{number}_Extent:=0 5 0 4 0 3", f"Segment{number}_Tags:=Segmentation.Status:inprogress|"]
    header = "NRRD0004\n" + "\n".join([*(f"{k}: {v}" for k, v in stated.items()), *pairs]) + "\n\n"
    path.write_bytes(header.encode() + gzip.compress(np.moveaxis(layers, 0, -1).tobytes()))
    return path


@pytest.fixture
def lungs():
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[1:3, 1:4, 1:3], labels[1:3, 1:4, 4:6] = 2, 1
    return labels


def read(path, label_of=NUMBERS.get):
    with collected_notes() as notes:
        volume = read_volume(path, "label", label_of=label_of)
    return volume, [note.removeprefix(f"{path}: ") for note in notes]


def test_names_give_the_numbers(tmp_path, lungs):
    path = segmentation(tmp_path / "a.seg.nrrd", [lungs], [("left", 1, 0), ("right", 2, 0)])
    volume, notes = read(path)
    assert np.array_equal(volume.voxels, np.array([0, 7, 9])[lungs])
    assert volume.geometry.spacing_mm == (1.5, 0.8, 0.7)
    assert volume.geometry.origin_mm == (3, 2, 1)
    assert not notes
    assert np.array_equal(read_volume(path, "label").voxels, lungs)
    assert scan_name(path) == "a"


def test_unknown_segments_are_left_out_and_noted(tmp_path, lungs):
    lungs[0] = 3
    segments = [("left", 1, 0), ("heart", 3, 0), ("right", 2, 0)]
    volume, notes = read(segmentation(tmp_path / "a.nrrd", [lungs], segments))
    assert np.array_equal(volume.voxels, np.array([0, 7, 9, 0])[lungs])
    assert notes == ["structures of other names are not used: heart"]


def test_numbers_count_where_no_name_is_known(tmp_path, lungs):
    volume, notes = read(segmentation(tmp_path / "a.nrrd", [lungs], [("Segment_1", 1, 0), ("Segment_2", 2, 0)]))
    assert np.array_equal(volume.voxels, lungs)
    assert notes == ["its segments (Segment_1, Segment_2) have no known name; their numbers count"]


def test_layers_make_one_map(tmp_path, lungs):
    layers = [(lungs == 1), (lungs == 2)]
    path = segmentation(tmp_path / "a.seg.nrrd", layers, [("right", 1, 1), ("left", 1, 0)])
    volume, _ = read(path)
    assert np.array_equal(volume.voxels, np.array([0, 7, 9])[lungs])
    assert volume.geometry.spacing_mm == (1.5, 0.8, 0.7)
    assert np.array_equal(read_volume(path, "label").voxels, np.array([0, 2, 1])[lungs])


def test_segments_that_overlap(tmp_path, lungs):
    both = [lungs == 1, (lungs == 2) | ((lungs == 1) & (np.arange(6) > 4))]
    path = segmentation(tmp_path / "a.nrrd", both, [("left", 1, 0), ("right", 1, 1)])
    with pytest.raises(UserError, match="structure 'right' shares 6 voxels with the one numbered 7"):
        read(path)


@pytest.mark.parametrize(
    ("segment", "message"),
    [(("left", "one", 0), "its segments have unusable numbers"), (("left", 1, 4), "it has 1 layers, and segments in")],
)
def test_wrong_segments(tmp_path, lungs, segment, message):
    with pytest.raises(UserError, match=message):
        read(segmentation(tmp_path / "a.nrrd", [lungs], [segment]))
