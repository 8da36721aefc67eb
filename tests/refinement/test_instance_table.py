import numpy as np
import pytest

from weakmask.refinement.instance_table import COLUMNS, instance_table

LABELS = np.zeros((6, 8, 10), np.uint32)
LABELS[2:4, 1:4, 2:6] = 3
LABELS[0, 6, 9] = 7


@pytest.mark.parametrize("slab_voxels", [1, 10**6])
@pytest.mark.parametrize("kind", ["float", "8 bits"])
def test_a_row_for_each_instance(slab_voxels: int, kind: str):
    scores = np.where(LABELS == 3, 0.8, 0.2).astype(np.float32)
    scores = np.rint(255 * scores).astype(np.uint8) if kind == "8 bits" else scores
    table = instance_table(LABELS, (30, 8, 4), scores, slab_voxels)
    assert tuple(table.columns) == COLUMNS
    first, second = table.to_dict("records")
    assert (first["id"], first["voxels"], first["nm3"]) == (3, 24, 24 * 960)
    assert [first[f"{axis}_start"] for axis in "zyx"] == [2, 1, 2]
    assert [first[f"{axis}_stop"] for axis in "zyx"] == [4, 4, 6]
    assert [first[f"{axis}_nm"] for axis in "zyx"] == [2.5 * 30, 2 * 8, 3.5 * 4]
    assert first["score"] == pytest.approx(0.8, abs=1e-6)
    assert (second["id"], second["voxels"]) == (7, 1)
    assert (first["touches_border"], second["touches_border"]) == (False, True)


def test_without_scores_and_without_instances():
    table = instance_table(LABELS, (1, 1, 1))
    assert table["score"].isna().all()
    assert len(instance_table(np.zeros((2, 3, 4), int), (1, 1, 1))) == 0


def test_a_single_section_has_no_faces_along_z():
    labels = np.zeros((1, 5, 5), int)
    labels[0, 2, 2] = 1
    assert not instance_table(labels, (1, 1, 1))["touches_border"].any()


def test_scores_of_another_grid_are_refused():
    with pytest.raises(ValueError, match="shapes"):
        instance_table(LABELS, (1, 1, 1), np.zeros((1, 2, 3)))
