"""The page to scroll in: offline, small, harmless, and what it shows is what the mask holds."""

import base64
import gzip
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weakmask.report.scan_view import ScanView
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume
from weakmask.web.viewer_page import LIBRARY, MOST_BYTES, viewer_page, write_viewer

HOSTILE = '</script><img src=x onerror="document.body.dataset.state=1"> <b>&"'
DRAWING = (
    *("--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--virtual-time-budget=60000", "--timeout=100000", "--host-resolver-rules=MAP * ~NOTFOUND"),
)


def scan_view(name: str = "scan", shape: tuple[int, int, int] = (20, 40, 44), **changes: Any) -> ScanView:
    """A scan with two lungs and a lesion in one of them, on a turned grid that runs from head to feet."""
    turn = np.deg2rad(8)
    direction = ((1.0, 0.0, 0.0), (0.0, np.cos(turn), -np.sin(turn)), (0.0, np.sin(turn), np.cos(turn)))
    geometry = Geometry(shape, (3.0, 2.0, 2.0), (-50.0, -40.0, -30.0), direction).flipped(0)
    rng = np.random.default_rng(1)
    regions, mask = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    regions[4:16, 10:30, 6:18], regions[4:16, 10:30, 26:38] = 2, 1
    mask[7:11, 14:20, 27:33] = rng.random((4, 6, 6)) < 0.8
    image = np.where(regions > 0, -800, 0) + rng.normal(0, 20, shape)
    layers: dict[str, Any] = {
        "mask": Volume(mask, geometry, "label"),
        "regions": Volume(regions, geometry, "label"),
        "region_names": {1: "left lung", 2: HOSTILE},
    }
    return ScanView(name, Volume(image.astype(np.int16), geometry), (-1350.0, 150.0), **{**layers, **changes})


ROWS = [{"region": name, "score": 1, "fraction": 0.1, "lesion_ml": 1.5} for name in ("left lung", HOSTILE, "all")]


def data_in(page: str) -> dict[str, Any]:
    return json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[0])


def volume_in(page: str, layer: str, folder: Path) -> Volume:
    data = data_in(page)
    text = data["image"] if layer == "image" else data["layers"][layer]
    file = folder / f"{layer}.nii"
    file.write_bytes(gzip.decompress(base64.b64decode(text)))
    return read_volume(file, "image" if layer == "image" else "label")


def test_the_volumes_of_the_page_lie_where_the_scan_lies(tmp_path: Path) -> None:
    view = scan_view()
    page = viewer_page(view, ROWS, hounsfield=True)
    image, mask = volume_in(page, "image", tmp_path), volume_in(page, "mask", tmp_path)
    assert view.mask is not None
    assert np.count_nonzero(mask.voxels) == np.count_nonzero(view.mask.voxels)
    corner = view.image.geometry.inverse_affine @ image.geometry.affine @ np.array([2, 3, 4, 1.0])
    z, y, x = (round(float(value)) for value in corner[:3])
    assert np.allclose(corner[:3], [z, y, x], atol=1e-3)
    assert abs(int(image.voxels[2, 3, 4]) - int(view.image.voxels[z, y, x])) <= 5


def test_a_click_leads_to_lesions_of_the_region() -> None:
    view = scan_view()
    assert view.mask is not None
    left, right, everywhere = data_in(viewer_page(view, ROWS, hounsfield=True))["places"]
    assert left == everywhere
    for place, layer, label in ((left, view.mask, 1), (right, view.regions, 2)):
        assert layer is not None
        x, y, z = place
        index = view.image.geometry.inverse_affine @ np.array([z, -y, -x, 1.0])
        assert layer.voxels[tuple(np.rint(index[:3]).astype(int))] == label


def test_the_policy_allows_its_one_script_and_no_request() -> None:
    page = viewer_page(scan_view(HOSTILE), ROWS, hounsfield=True)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert "'unsafe-eval'" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}' blob:;" in policy
    assert not re.findall(r'(?:src|href)="(?!data:)', page)


def test_names_from_outside_are_text() -> None:
    page = viewer_page(scan_view(HOSTILE), ROWS, hounsfield=True)
    assert "<img src=x" not in page
    assert page.count("</script>") == 3
    assert data_in(page)["names"]["2"] == HOSTILE


def test_a_large_scan_fits_into_the_page() -> None:
    rng = np.random.default_rng(0)
    geometry = Geometry((60, 320, 320), (1.25, 0.7, 0.7))
    noise = Volume(rng.normal(-800, 60, geometry.shape).astype(np.int16), geometry)
    activation = Volume(rng.random(geometry.shape, np.float32), geometry)
    view = ScanView("large", noise, (-1350.0, 150.0), activation=activation)
    page = viewer_page(view, [], hounsfield=True)
    assert len(page) <= MOST_BYTES
    assert "<table>" not in page


def test_the_library_is_the_pinned_one_and_its_licences_come_along() -> None:
    digest = hashlib.sha256(gzip.decompress(LIBRARY.read_bytes())).hexdigest()
    assert digest == "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"
    licences = (LIBRARY.parent / "LICENSES.txt").read_text(encoding="utf-8")
    assert "BSD 2-Clause" in licences
    assert "fflate" in licences


def drawn(page: Path, *flags: str) -> str:
    """The page's content after headless Chromium has drawn it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    command = [chromium, *DRAWING, *flags, f"--user-data-dir={page.parent / 'profile'}", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180).stdout


def test_chromium_counts_the_voxels_of_the_mask_and_runs_nothing_of_a_name(tmp_path: Path) -> None:
    view = scan_view(HOSTILE)
    write_viewer(tmp_path / "view.html", view, ROWS, hounsfield=True)
    (body,) = re.findall(r"<body[^>]*>", drawn(tmp_path / "view.html"))
    assert view.mask is not None
    assert 'data-state="ready"' in body
    assert f'data-lesion-voxels="{np.count_nonzero(view.mask.voxels)}"' in body
    place = " ".join(f"{value:g}" for value in data_in((tmp_path / "view.html").read_text("utf-8"))["places"][-1])
    assert f'data-jumped-to="{place}"' in body


def test_without_webgl_the_page_says_so_and_shows_the_picture(tmp_path: Path) -> None:
    write_viewer(tmp_path / "view.html", scan_view(), ROWS, hounsfield=True, preview=b"webp")
    page = drawn(tmp_path / "view.html", "--disable-3d-apis")
    assert 'data-state="failed"' in page
    assert "WebGL 2 is missing" in page
    assert 'src="data:image/webp;base64,' in page
