import os
from pathlib import Path

import numpy as np
import pytest

from weakmask.commands.scan_jobs import chosen_scans, find_jobs, find_scans
from weakmask.errors import UserError
from weakmask.volume.files import write_volume
from weakmask.volume.scan_files import ScanFile
from weakmask.volume.volume import Volume


def scan(path: Path) -> Path:
    write_volume(Volume.from_array(np.zeros((2, 3, 4), np.int16), (1, 1, 1)), path)
    return path


def test_what_is_neither_a_file_nor_a_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nii.gz")
    (tmp_path / "zero.mha").symlink_to("/dev/zero")
    for name in ("pipe.nii.gz", "zero.mha"):
        with pytest.raises(UserError, match="a pipe or a device; expected a file or a folder"):
            find_scans(tmp_path / name)


def test_of_a_cohort_the_images_are_the_scans(tmp_path: Path) -> None:
    for part in ("images", "regions"):
        (tmp_path / part).mkdir()
        scan(tmp_path / part / "p1.nii.gz")
    assert find_scans(tmp_path) == [ScanFile(tmp_path / "images" / "p1.nii.gz")]


def test_a_series_that_no_folder_has(tmp_path: Path) -> None:
    scan(tmp_path / "a.nii.gz")
    assert chosen_scans([tmp_path], ()) == [tmp_path]
    with pytest.raises(UserError, match=r"no series 1\.2\.3 in .*; give the UID, number or"):
        chosen_scans([tmp_path], ["1.2.3"])


def test_jobs_keep_the_chosen_series(tmp_path: Path) -> None:
    jobs, lines = find_jobs([ScanFile(tmp_path / "p1", "1.2"), scan(tmp_path / "a.nii")], lambda _, __: {})
    assert [(job.name, job.series) for job in jobs] == [("p1", "1.2"), ("a", None)]
    assert not lines
