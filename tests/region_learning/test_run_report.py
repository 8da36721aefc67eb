"""The paragraph on crops."""

from weakmask.region_learning.run_report import preparation_text
from weakmask.region_learning.settings import PrepareSettings


def test_crops_of_the_scans_own_grid_are_described_in_a_sentence() -> None:
    assert preparation_text(PrepareSettings(spacing_mm=None)).startswith("Scans were cropped around each")
    assert preparation_text(PrepareSettings()).startswith("Scans were resampled to 1.2 mm and cropped around each")
