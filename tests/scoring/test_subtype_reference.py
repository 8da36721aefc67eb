"""The reference table: built from labels, written, read, refused where it makes no sense."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from weakmask.errors import UserError
from weakmask.scoring.subtype_reference import REFERENCE_COLUMNS, read_reference, reference_components, write_reference
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume


def scan(seed: int) -> tuple[str, Volume, Volume]:
    rng = np.random.default_rng(seed)
    geometry = Geometry((6, 10, 10), (2.0, 1.0, 1.0))
    lesions = np.where(rng.random((6, 10, 10)) < 0.1, rng.integers(1, 4, (6, 10, 10)), 0).astype(np.uint8)
    return f"scan {seed}", Volume(rng.normal(-400, 200, (6, 10, 10)), geometry), Volume(lesions, geometry, "label")


def test_one_row_per_component_and_subtype():
    table = reference_components([scan(0), scan(1)])
    assert tuple(table.columns) == REFERENCE_COLUMNS
    assert set(table["subtype"]) == {"ground-glass", "consolidation", "mixed"}
    assert set(table["scan"]) == {"scan 0", "scan 1"}
    assert table["voxels"].sum() == sum((scan(k)[2].voxels > 0).sum() for k in (0, 1))
    assert (table["sd_hu"] == 0).sum() == (table["voxels"] == 1).sum() > 0


def test_comes_back_from_its_file(tmp_path: Path):
    table = reference_components([scan(0)])
    write_reference(table, tmp_path / "table.csv")
    pd.testing.assert_frame_equal(read_reference(tmp_path / "table.csv"), table, rtol=1e-5)


def test_nothing_labelled_is_an_empty_table():
    name, image, lesions = scan(0)
    table = reference_components([(name, image, lesions.with_voxels(0 * lesions.voxels))])
    assert table.empty
    assert tuple(table.columns) == REFERENCE_COLUMNS


def test_a_label_that_is_no_subtype_is_named():
    name, image, lesions = scan(0)
    with pytest.raises(UserError, match=r"scan 0: its lesions have the label 4; expected 1 ground-glass, 2"):
        reference_components([(name, image, lesions.with_voxels(2 * lesions.voxels))])


GOOD = "ground-glass,1.5,-600,50"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subtype,volume_ml,mean_hu\n", "no column sd_hu; make a table"),
        ("subtype,volume_ml,mean_hu,sd_hu\n", "no rows"),
        (f"subtype,volume_ml,mean_hu,sd_hu\n{GOOD}\nopacity,1,-600,50\n", "line 3: subtype opacity, .* expected a sub"),
        (f"subtype,volume_ml,mean_hu,sd_hu\n{GOOD}\nmixed,0,-600,50\n", "line 3: .* volume_ml 0"),
        ("subtype,volume_ml,mean_hu,sd_hu\nmixed,1,-600,-5\n", "line 2"),
        ("subtype,volume_ml,mean_hu,sd_hu\nmixed,1,,5\n", "line 2: .* mean_hu nan"),
        ("subtype,volume_ml,mean_hu,sd_hu\nmixed,much,-600,5\n", "line 2"),
        ("", "not a CSV table"),
        ("a,b\n1,2,3\n4,5,6,7\n", "not a CSV table"),
    ],
)
def test_faulty_tables_are_refused_with_their_line(text: str, message: str, tmp_path: Path):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_reference(path)


def test_a_missing_file_is_one_line(tmp_path: Path):
    with pytest.raises(UserError, match=r"cannot read the subtype table .*: No such file"):
        read_reference(tmp_path / "none.csv")
