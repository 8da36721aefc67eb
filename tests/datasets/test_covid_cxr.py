"""COVID-19 X-rays: the table of shares becomes a score per lung."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakmask.datasets.cohort import check_cohort
from weakmask.datasets.cohort_writing import write_cohort
from weakmask.datasets.covid_cxr import REGIONS, TENTHS, read_covid_cxr
from weakmask.errors import UserError
from weakmask.scoring.severity import CT_SEVERITY

HEADER = "image,right_lung_fraction,left_lung_fraction,consolidation,view,patient"


@pytest.fixture
def x_rays(tmp_path: Path) -> Path:
    """Two X-rays of one patient: the right lung lies on the picture's left."""
    folder = tmp_path / "cxr"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for k, suffix in enumerate((".jpg", ".png")):
        lungs = np.zeros((40, 50), np.uint8)
        lungs[5:35, 5:22], lungs[5:35, 28:45] = 1, 2
        lesions = np.where(lungs == 2, np.uint8(3), np.uint8(0))
        grey = np.random.default_rng(k).integers(0, 256, (40, 50), dtype=np.uint8)
        Image.fromarray(grey).save(folder / "images" / f"x{k}{suffix}")
        Image.fromarray(lungs).save(folder / "masks" / f"x{k}_lungs.png")
        Image.fromarray(lesions).save(folder / "masks" / f"x{k}_lesions.png")
    (folder / "table.csv").write_text(f"{HEADER}\nx0,0.0000,1.0,0,PA,7\nx1,0.0000,0.2158,0,AP,7\n")
    return folder


def test_shares_become_scores_and_a_cohort(x_rays: Path, tmp_path: Path) -> None:
    found = read_covid_cxr(x_rays)
    assert [dict(case.scores) for case in found.cases] == [{1: 0, 2: 10}, {1: 0, 2: 3}]
    assert [dict(case.scores) for case in read_covid_cxr(x_rays, CT_SEVERITY).cases] == [{1: 0, 2: 5}, {1: 0, 2: 2}]
    write_cohort(found, tmp_path / "out", truth=True)
    written = check_cohort(tmp_path / "out", hounsfield=False)
    assert [fault.message for fault in written.faults if "sides" in fault.message or "truth" in fault.message] == []
    assert written.score_map == TENTHS
    assert {name: label for label, name in written.region_names.items()} == REGIONS
    assert {case.patient for case in written.cases} == {"7"}
    assert [dict(case.scores) for case in written.cases] == [dict(case.scores) for case in found.cases]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("0.2158", "1.2"), r"line 3: the left lung has the share '1\.2'"),
        (("0.2158", "many"), "has the share 'many'"),
        (("left_lung_fraction", "other"), "has no column left_lung_fraction"),
        (("x1", "x3"), r"x3\.jpe?g: no such file"),
    ],
)
def test_a_faulty_table_is_refused(x_rays: Path, change: tuple[str, str], message: str) -> None:
    table = x_rays / "table.csv"
    table.write_text(table.read_text().replace(*change))
    with pytest.raises(UserError, match=message):
        read_covid_cxr(x_rays)


@pytest.mark.real_data
def test_the_real_shares_are_those_of_the_outlines(real_data: Callable[[str], Path]) -> None:
    found = read_covid_cxr(real_data("wsmis/covid_cxr"))
    assert len(found.cases) == 63
    for case in found.cases[:6]:
        assert case.regions is not None
        assert case.truth is not None
        lungs, lesions = (np.asarray(Image.open(path)) for path in (case.regions, case.truth))
        shares = {label: float((lesions[lungs == label] > 0).mean()) for label in (1, 2)}
        for label, share in shares.items():
            low, high = TENTHS.interval(case.scores[label])
            assert low - 0.001 <= share <= high + 0.001
