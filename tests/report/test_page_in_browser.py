"""The page in a real browser, from a file, without a network: pictures load, outlines lie on them, switches work."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from weakmask.report.page import Page, write_report

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
LOOK = """<script>
addEventListener("load", () => {
  const shown = path => getComputedStyle(document.querySelector(path)).display !== "none";
  const parts = { mask: ".picture path.mask", truth: ".picture path.truth", regions: ".picture path.regions",
                  agreement: ".picture .tint", activation: ".canvas .heat" };
  const switched = {};
  for (const [name, path] of Object.entries(parts)) {
    const before = shown(path);
    document.getElementById("show-" + name).click();
    switched[name] = [before, shown(path)];
  }
  const images = [...document.images].map(i => [i.naturalWidth, i.naturalHeight, i.clientWidth, i.clientHeight]);
  const found = { images, switched, wide: document.documentElement.scrollWidth > innerWidth };
  document.body.dataset.found = JSON.stringify(found);
});
</script></body>"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Run Chromium with a fresh profile; gives what it printed."""
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if binary is None:
        pytest.skip("no Chromium here; install chromium to look at the report in a browser")

    def run(*arguments: str) -> str:
        profile = tmp_path_factory.mktemp("profile")
        command = [binary, *FLAGS, f"--user-data-dir={profile}", "--window-size=1440,2200", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout

    return run


@pytest.fixture(scope="module")
def report(tmp_path_factory, chest, picture):
    """A page with open and folded scans of both kinds."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    views = [chest, replace(chest, name="folded", rank=1.0), replace(picture, rank=2.0)]
    curves = pd.DataFrame({"step": [1, 2, 3], "total": [3.0, 2.0, 1.0]})
    write_report(path, Page("Three scans", "Shown in a browser.", views=views, curves=curves, open_scans=1))
    return path


def test_pictures_load_and_switches_switch(browser, report, tmp_path):
    looked = tmp_path / "looked.html"
    looked.write_text(report.read_text(encoding="utf-8").replace("</body>", LOOK), encoding="utf-8")
    text = re.search(r'data-found="([^"]*)"', browser("--dump-dom", looked.as_uri()))
    assert text, "the page did not finish loading"
    found = json.loads(text.group(1).replace("&quot;", '"'))
    assert len(found["images"]) == 2 * (3 + 3 + 3 + 6 + 6) + 3 + 1
    assert all(width > 0 and height > 0 for width, height, _, _ in found["images"])
    assert set(found["switched"]) == {"mask", "truth", "regions", "agreement", "activation"}
    assert all(states == [True, False] for states in found["switched"].values()), found["switched"]
    assert not found["wide"], "the page is wider than the window"


def test_a_reader_sees_pictures_with_outlines_on_them(browser, report, tmp_path):
    target = tmp_path / "page.png"
    browser(f"--screenshot={target}", report.as_uri())
    with Image.open(target) as opened:
        pixels = np.asarray(opened.convert("RGB")).astype(int)
    assert pixels.shape == (2200, 1440, 3)

    def count(colour, off=24):
        return int((np.abs(pixels - colour).max(axis=2) < off).sum())

    assert count((255, 159, 28)) > 300, "no outline of the predicted mask"
    assert count((56, 189, 248)) > 300, "no outline of the truth"
    assert count((11, 15, 22), 3) > 20_000, "no dark ground behind the pictures"
    assert count((248, 250, 252), 3) > 200_000, "no light page around it"
    grey = (np.ptp(pixels, axis=2) < 3) & (pixels[..., 0] > 25) & (pixels[..., 0] < 235)
    assert grey.sum() > 50_000, "no scan in the pictures"
