"""Regions of scans that bring none: lobes where lobes are wanted and believable, else lungs, and always said."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from weakmask.anatomy.lung_field import lung_field
from weakmask.datasets.cohort import read_cohort
from weakmask.methods.dram.config import DramSettings
from weakmask.methods.lobes.scans import phantom_scan
from weakmask.pipeline import Work
from weakmask.region_learning.settings import DataSettings
from weakmask.region_learning.usable_cases import read_case
from weakmask.regions.find_lobes import FoundLobes
from weakmask.regions.make_regions import LOBES, LUNGS, MadeRegions, make_regions, relabelled
from weakmask.volume.files import write_volume
from weakmask.volume.volume import Volume

PHANTOM = ((48, 44, 52), (6.0, 6.0, 6.0))


@pytest.fixture(scope="module")
def scan() -> tuple[Volume, Volume]:
    return phantom_scan(1, *PHANTOM, ill=False)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, scan: tuple[Volume, Volume]) -> Callable[..., None]:
    """A lobe network that finds the true lobes, with these faults."""

    def says(*faults: str) -> None:
        monkeypatch.setattr("weakmask.regions.make_regions.SHIPPED", Path(__file__))
        monkeypatch.setattr("weakmask.regions.make_regions._kept", lambda model, device: model)
        monkeypatch.setattr(
            "weakmask.regions.make_regions.find_lobes", lambda model, image, field: FoundLobes(scan[1], scan[1], faults)
        )

    return says


def test_lobes_are_made_where_lobes_are_scored(scan: tuple[Volume, Volume], network: Callable[..., None]) -> None:
    network()
    made = make_regions(scan[0], ["LUL", "LLL", "RUL", "RML", "RLL"])
    assert made.numbering == LOBES
    assert np.array_equal(made.labels.voxels, scan[1].voxels)
    assert made.note == "lobes by the lobe network that comes with weakmask"
    assert make_regions(scan[0], ["rll"], Path("mine.safetensors")).note == "lobes by mine.safetensors"


def test_models_of_lungs_keep_their_lungs(scan: tuple[Volume, Volume]) -> None:
    made = make_regions(scan[0], ["left", "right"])
    assert made.numbering == LUNGS
    assert np.array_equal(made.labels.voxels, lung_field(scan[0]).voxels)
    assert made.note == "left and right lung by threshold"


def test_both_lungs_are_one_region_where_they_have_one_score(scan: tuple[Volume, Volume]) -> None:
    made, sides = make_regions(scan[0], ["Lungs"]), make_regions(scan[0], ["left", "right"])
    assert made.numbering == {"lungs": 1}
    np.testing.assert_array_equal(made.labels.voxels, sides.labels.voxels > 0)
    assert relabelled(made, {7: "lungs"}).voxels.max() == 7


def test_lobes_that_nobody_has_are_not_passed_on(scan: tuple[Volume, Volume], network: Callable[..., None]) -> None:
    network("LUL lies lower in the patient than LLL")
    made = make_regions(scan[0], list(LOBES))
    assert made.numbering == LUNGS
    assert "LUL lies lower" in made.note
    assert made.note.endswith("left and right lung by threshold")


def test_regions_take_the_labels_of_the_cohort(scan: tuple[Volume, Volume]) -> None:
    theirs = {1: "lul", 2: "LLL", 3: "RUL", 4: "RLL", 5: "RML"}
    found = relabelled(MadeRegions(scan[1], LOBES, ""), theirs)
    for label, name in theirs.items():
        assert np.array_equal(found.voxels == label, scan[1].voxels == LOBES[name.upper()])


def test_lungs_never_pass_for_lobes(scan: tuple[Volume, Volume]) -> None:
    lungs = make_regions(scan[0], ["left"])
    assert not relabelled(lungs, {label: name for name, label in LOBES.items()}).voxels.any()


def test_a_cohort_without_masks_is_prepared_by_lobes(
    scan: tuple[Volume, Volume], network: Callable[..., None], tmp_path: Path
) -> None:
    network()
    write_volume(scan[0], tmp_path / "images" / "chest.nii.gz")
    (tmp_path / "scores.csv").write_text("scan,region,score\nchest,RUL,2\nchest,LLL,0\n", encoding="utf-8")
    work = Work(tmp_path, tmp_path, DramSettings(device="cpu", data=DataSettings(cohort=tmp_path)))
    cohort = read_cohort(tmp_path)
    _, found = read_case(cohort.cases[0], cohort, work)
    assert np.array_equal(found.voxels, scan[1].voxels)
    assert work.notes == ["chest: no region mask; lobes by the lobe network that comes with weakmask"]


def test_the_regions_of_a_scan_are_found_once_in_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = phantom_scan(1, (48, 44, 52), (6.0, 6.0, 6.0), ill=False)
    write_volume(scan[0], tmp_path / "images" / "chest.nii.gz")
    (tmp_path / "scores.csv").write_text("scan,region,score\nchest,RUL,2\n", encoding="utf-8")
    made: list[Volume] = []

    def once(image: Volume, names: object, device: str) -> MadeRegions:
        made.append(image)
        return MadeRegions(scan[1], LOBES, "lobes by a test")

    monkeypatch.setattr(sys.modules["weakmask.region_learning.usable_cases"], "make_regions", once)
    config, cohort = DramSettings(device="cpu", data=DataSettings(cohort=tmp_path)), read_cohort(tmp_path)
    run = tmp_path / "run"
    for stage in ("01-prepare", "04-maps"):
        _, regions = read_case(cohort.cases[0], cohort, Work(run, run / stage, config))
        assert np.array_equal(regions.voxels == LOBES["RUL"], scan[1].voxels == LOBES["RUL"])
    _, regions = read_case(cohort.cases[0], cohort, Work(run, run, config))  # the report
    assert len(made) == 1
    assert [path.parent.parent.name for path in run.rglob("chest-*.nii.gz")] == ["01-prepare"]
