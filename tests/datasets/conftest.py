"""A whole cohort on disk, of boxes in a box of water, for the tests that spoil it."""

from pathlib import Path

import numpy as np
import pytest

from weakmask.datasets.case import Cohort, Fault
from weakmask.datasets.cohort import check_cohort
from weakmask.volume.files import write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Kind, Volume

GRID = Geometry((20, 24, 24), (12.0, 10.0, 12.0), (-100.0, -120.0, -140.0))
LABELS = {"LUL": 1, "LLL": 2, "RUL": 3, "RML": 4, "RLL": 5}


class CohortFolder:
    """A cohort of two good scans, `good` and `odd`, of which a test spoils the second."""

    grid = GRID
    labels = LABELS

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.table("scan,LUL,LLL,RUL,RML,RLL\ngood,0,1,0,0,0\nodd,0,1,2,0,0\n")
        for scan in ("good", "odd"):
            self.image(self.ct(), scan)
            self.regions(self.lobes(), scan)
            self.lesions(self.truth(), scan)

    @staticmethod
    def lobes(labels: dict[str, int] = LABELS) -> np.ndarray:
        """Two lungs of boxes: index z grows to the head, y to the back, x to the patient's left."""
        z, y, x = np.indices(GRID.shape)
        lung = (z >= 2) & (z < 18) & (y >= 3) & (y < 21)
        left, right, upper, front = lung & (x >= 14) & (x < 22), lung & (x >= 2) & (x < 10), z >= 10, y < 11
        voxels = np.zeros(GRID.shape, np.int16)
        voxels[left & upper], voxels[left & ~upper], voxels[right & upper] = (labels[n] for n in ("LUL", "LLL", "RUL"))
        voxels[right & ~upper & front], voxels[right & ~upper & ~front] = labels["RML"], labels["RLL"]
        return voxels

    @staticmethod
    def ct() -> np.ndarray:
        """A body of water with lungs of -850 HU in air, and some noise."""
        voxels = np.full(GRID.shape, -1000.0)
        voxels[:, 1:23, 1:23] = 20
        voxels[CohortFolder.lobes() > 0] = -850
        return np.rint(voxels + np.random.default_rng(0).normal(0, 20, GRID.shape)).astype(np.int16)

    @staticmethod
    def truth() -> np.ndarray:
        voxels = np.zeros(GRID.shape, np.uint8)
        voxels[4:6, 5:9, 15:18], voxels[12:14, 5:9, 3:6] = 1, 3
        return voxels

    def table(self, text: str) -> None:
        (self.path / "scores.csv").write_text(text)

    def write(self, file: str, voxels: np.ndarray, kind: Kind, geometry: Geometry = GRID) -> None:
        write_volume(Volume(voxels, geometry, kind), self.path / file)

    def image(self, voxels: np.ndarray, scan: str = "odd", geometry: Geometry = GRID) -> None:
        self.write(f"images/{scan}.nii.gz", voxels, "image", geometry)

    def regions(self, voxels: np.ndarray, scan: str = "odd", geometry: Geometry = GRID) -> None:
        self.write(f"regions/{scan}.nii.gz", voxels, "label", geometry)

    def lesions(self, voxels: np.ndarray, scan: str = "odd", geometry: Geometry = GRID) -> None:
        self.write(f"lesions/{scan}.nii.gz", voxels, "label", geometry)

    def odd_fault(self) -> tuple[Fault, Cohort]:
        """The one fault of the second scan; the first must have none."""
        cohort = check_cohort(self.path)
        assert cohort.cases[0].name == "good"
        assert len(cohort.faults) == 1, cohort.faults
        fault = cohort.faults[0]
        assert fault.scan == "odd"
        assert "\n" not in fault.message
        assert fault.message.startswith(f"{fault.file}: ")
        assert [case.name for case in cohort.cases] == (["good"] if fault.fatal else ["good", "odd"])
        return fault, cohort


@pytest.fixture
def folder(tmp_path: Path) -> CohortFolder:
    return CohortFolder(tmp_path / "cohort")
