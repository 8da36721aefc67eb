"""OHIF in headless Chromium shows a segmentation of weakmask by its name on the CT, from a real PACS (Orthanc)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from chromium_page import chromium_page
from ohif_site import ohif_folder, served_ohif
from own_orthanc import Orthanc
from PIL import Image

from weakmask.phantoms.chest_ct import make_phantom
from weakmask.volume.files import write_volume

Run = Callable[..., tuple[int, list[str]]]
PANEL = "panelSegmentation-btn"
SERIES, STUDY = "1.2.77.1", "1.2.77"


@pytest.mark.slow
def test_ohif_shows_the_segmentation_by_name(
    orthanc: Orthanc, write_scan: Callable[..., Path], tmp_path: Path, weakmask: Run
) -> None:
    """The picture is left in the test's folder, `ohif.png`: look at it."""
    pages = ohif_folder(tmp_path)
    if pages is None:
        pytest.skip("OHIF is not at hand: OHIF_DIST names no folder with it, and npm cannot fetch @ohif/app")
    phantom = make_phantom(3, (32, 96, 96), (10.0, 4.0, 4.0))
    ct = write_scan(tmp_path / "ct", phantom.image, SERIES, StudyInstanceUID=STUDY)
    write_volume(phantom.lesions, tmp_path / "masks" / f"{SERIES}.nii.gz")
    of_mask = ["to-dicom", tmp_path / "masks" / f"{SERIES}.nii.gz", "--source", ct, "--out", tmp_path / "dicom"]
    assert weakmask(*of_mask) == (0, [])
    orthanc.add(ct, tmp_path / "dicom")
    with served_ohif(pages, orthanc) as address, chromium_page(tmp_path / "profile") as page:
        if page is None:
            pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
        page.command("Page.navigate", url=f"{address}/viewer?StudyInstanceUIDs={STUDY}")
        page.wait_for("Skip all")  # of a tour
        page.click("Skip all")
        page.wait_for("weakmask lesions")
        page.click("weakmask lesions", times=2)
        page.wait_for("Do you want to open this segmentation")
        page.click("Yes")
        page.ask(f"document.querySelector('[data-cy=\"{PANEL}\"]').click()")
        page.wait_for("Segmentations\nweakmask lesions\n1\nlesion 1\n2\nlesion 2\n3\nlesion 3")
        page.photograph(tmp_path / "ohif.png")
    red, green, blue = np.moveaxis(np.asarray(Image.open(tmp_path / "ohif.png").convert("RGB"), int), -1, 0)
    orange = (red > 200) & (green > 100) & (green < 190) & (blue < 80)
    assert orange[60:800, 470:1100].sum() > 50  # the outline, between the panels
