"""A cohort's table names the DICOM series of a folder that holds several."""

import numpy as np
import pandas as pd
import pytest
from enhanced_ct import write_enhanced
from malformed_files import scan_series

import weakmask as wm
from weakmask.commands.scan_jobs import find_jobs
from weakmask.datasets.cohort import check_cohort, read_cohort
from weakmask.datasets.seen_scans import seen_scans
from weakmask.volume.files import write_volume
from weakmask.volume.scan_files import ScanFile
from weakmask.volume.volume import Volume


@pytest.fixture
def spoiled(folder):
    """The scan `odd` as a folder of two series: the slices of the scan, and the same with other values."""
    image = wm.read_volume(folder.path / "images" / "odd.nii.gz")
    (folder.path / "images" / "odd.nii.gz").unlink()
    exam = folder.path / "images" / "odd"
    scan_series(exam, image, "1.2.5", SeriesNumber=2, SeriesDescription="Lung 1.0")
    scan_series(exam / "other", image.with_voxels(image.voxels + np.int16(7)), "1.2.6", SeriesNumber=3)
    return folder


@pytest.mark.parametrize("named", ["1.2.5", "2", "2.0", "lung 1.0"])
@pytest.mark.parametrize("table", ["wide", "long", "xlsx", "labels"])
def test_a_column_chooses_the_series(spoiled, named, table):
    rows = {"scan": ["good", "odd"], "Series UID": ["", named], **{name: [0, 1] for name in spoiled.labels}}
    if table == "wide":
        spoiled.table(pd.DataFrame(rows).to_csv(index=False))
    elif table == "long":
        pairs = [
            f"{scan},{region},1,{named if scan == 'odd' else ''}" for scan in rows["scan"] for region in spoiled.labels
        ]
        spoiled.table("\n".join(["scan,region,score,series", *pairs]))
    elif table == "xlsx":
        (spoiled.path / "scores.csv").unlink()
        pd.DataFrame(rows).to_excel(spoiled.path / "scores.xlsx", index=False)
    else:
        (spoiled.path / "labels.csv").write_text(f"image,label,series\ngood,lesion,\nodd,lesion,{named}\n")
    read = {case.name: case for case in read_cohort(spoiled.path).cases}
    assert read["good"].series is None
    assert read["odd"].series == named.removesuffix(".0") if named == "2.0" else named
    cohort = check_cohort(spoiled.path)
    assert [case.name for case in cohort.cases] == ["good", "odd"]
    assert read["odd"].read_image().voxels.max() < wm.read_volume(read["odd"].image, series="3").voxels.max()
    jobs, _ = find_jobs([spoiled.path], lambda name, path: {})
    assert [(job.name, job.series) for job in jobs] == [("good", None), ("odd", read["odd"].series)]


def test_without_it_and_with_a_wrong_one_the_choices_are_named(spoiled):
    fault = next(fault for fault in check_cohort(spoiled.path).faults if fault.scan == "odd")
    assert fault.fatal
    for words in (
        "images/odd: 2 series",
        "a column `series` in a cohort's table",
        "1.2.5 (number 2, CT 'Lung 1.0'",
        "1.2.6 (nu",
    ):
        assert words in fault.message
    spoiled.table("scan,series,LUL\ngood,,0\nodd,soft,1\n")
    fault = next(fault for fault in check_cohort(spoiled.path).faults if fault.scan == "odd")
    assert "images/odd: no series soft; the folder holds: 1.2.5" in fault.message


def test_rows_and_tables_that_contradict_each_other_leave_the_scan_out(spoiled):
    spoiled.table("scan,region,score,series\ngood,LUL,0,\nodd,LUL,1,2\nodd,LLL,1,3\n")
    (fault,) = [fault for fault in read_cohort(spoiled.path).faults if fault.fatal]
    assert fault.message.startswith(
        "scores.csv line 4 (odd): calls the series '3', line 3 calls it '2'; correct the line"
    )
    spoiled.table("scan,series,LUL\ngood,,0\nodd,2,1\n")
    (spoiled.path / "labels.csv").write_text("image,label,series\ngood,lesion,\nodd,lesion,3\n")
    (fault,) = [fault for fault in read_cohort(spoiled.path).faults if fault.fatal]
    assert fault.message == "labels.csv: odd has the series '3', in scores.csv '2'; correct one of them"


def test_of_other_formats_it_is_noted_and_ignored(spoiled):
    spoiled.table("scan,series,LUL\ngood,lung,0\nodd,2,1\n")
    cohort = check_cohort(spoiled.path)
    assert [case.name for case in cohort.cases] == ["good", "odd"]
    text = "images/good.nii.gz: scores.csv names its series 'lung'; it is not DICOM, and is read whole"
    assert text in [fault.message for fault in cohort.faults]


def test_another_series_of_one_folder_is_another_scan(spoiled):
    exam = spoiled.path / "images" / "odd"
    write_volume(wm.read_volume(exam, series="3"), spoiled.path / "third.nii.gz")
    tested = {"a": ScanFile(exam, "2"), "b": ScanFile(exam, "3"), "c": ScanFile(spoiled.path / "third.nii.gz")}
    assert seen_scans({"x": ScanFile(exam, "3")}, tested) == ["b", "c"]


def test_a_time_of_enhanced_ct(tmp_path):
    scan = Volume.from_array(np.random.default_rng(0).integers(-1000, 400, (4, 5, 6)).astype(np.int16), (2.5, 0.7, 0.7))
    write_enhanced(tmp_path / "images" / "a.dcm", scan, parts={"TemporalPositionIndex": [1, 2]})
    (tmp_path / "scores.csv").write_text("scan,series,region,score\na,time 2,left,1\n")
    (case,) = read_cohort(tmp_path).cases
    assert np.array_equal(case.read_image().voxels, scan.voxels + 1)
