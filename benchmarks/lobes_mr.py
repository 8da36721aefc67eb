"""Lobes of real lungs, leave one out: PDV-Net on the lung MR volumes with lobe masks of Tustison et al.

The data are those of github.com/ntustison/LungAndLobeEstimationExample: five proton MR volumes (ProtonImages), their
lobes (ProtonLobeMasks) and lungs (ProtonLungMasks). Each is judged by a network that learnt from the four others; the
runs stay in --out, and what is there is not trained again. `alone` is the network by itself, `lungs given` knows the
lungs and only parts them, which is what the atlas method of the data's paper is told too. Printed is the Dice per lobe,
mean over the volumes, with the least and the best volume; `ratio` = Dice / that of the atlas method on its own example
(0.954, from the data's README; one volume, so a mark and no contest).

Usage: lobes_mr.py --data DIR [--json] [--steps N] [--out DIR]
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from weakmask.anatomy.lung_sides import LEFT, RIGHT
from weakmask.methods.lobes import METHOD
from weakmask.methods.lobes.config import (
    DataSettings,
    FrameSettings,
    LobeSettings,
    MaskSettings,
    NetworkSettings,
    SegmentationSettings,
)
from weakmask.methods.lobes.evaluate_run import LOBES, lobe_dice
from weakmask.pipeline import run_stages
from weakmask.regions.find_lobes import find_lobes
from weakmask.regions.lobe_model import load_lobe_model
from weakmask.volume.files import read_volume
from weakmask.volume.regions import renumber
from weakmask.volume.volume import Volume

NUMBERING = "proton_mr"
IMAGES, LOBE_MASKS, LUNG_MASKS = (
    "ProtonImages/{}H1.nii.gz",
    "ProtonLobeMasks/{}Lobes.nii.gz",
    "ProtonLungMasks/{}Mask.nii.gz",
)
ATLAS_DICE = 0.954


def settings(cohort: Path, steps: int) -> LobeSettings:
    """A small PDV-Net for grey values of MR, on the whole scan."""
    return LobeSettings(
        data=DataSettings(cohort=cohort, numbering=NUMBERING, validation=0.0),
        prepare=FrameSettings(shape=(80, 48, 64), grey_values="percentiles"),
        network=NetworkSettings(dropout=0.0),
        segmentation=SegmentationSettings(
            steps=steps,
            batch=1,
            schedule="cosine",
            average_decay=0.97,
            cross_entropy=0.5,
            keep="last",
            validate_every=50,
            checkpoint_every=25,
        ),
        masks=MaskSettings(confine="nothing"),
    )


def cohort_without(name: str, names: list[str], data: Path, folder: Path) -> Path:
    """images/ and regions/ of all but one, as links."""
    for part, pattern in (("images", IMAGES), ("regions", LOBE_MASKS)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for other in names:
            link = folder / part / f"{other}.nii.gz"
            if other != name and not link.exists():
                link.symlink_to(data / pattern.format(other))
    return folder


def lungs_of(mask: Volume, image: Volume) -> Volume:
    """Left lung 1, right lung 2, whatever their numbers were: left is where the patient's left is."""
    along_x = {}
    for label in (1, 2):
        centre = np.argwhere(mask.voxels == label).mean(axis=0)
        along_x[label] = float((mask.geometry.affine @ [*centre, 1.0])[2])
    left = max(along_x, key=lambda label: along_x[label])
    sides = np.where(mask.voxels == left, LEFT, RIGHT) * (mask.voxels > 0)
    return Volume(sides.astype(np.uint8), image.geometry, "label")


def judged(run: Path, name: str, data: Path) -> list[dict[str, Any]]:
    """The Dice per lobe of the volume left out, alone and with its lungs given."""
    model = load_lobe_model(run, torch.device("cpu"))
    image = read_volume(data / IMAGES.format(name))
    truth = renumber(read_volume(data / LOBE_MASKS.format(name), "label"), NUMBERING)
    lungs = lungs_of(read_volume(data / LUNG_MASKS.format(name), "label"), image)
    confined = replace(model, config=model.config.model_copy(update={"masks": MaskSettings(confine="lungs")}))
    ways = {"alone": find_lobes(model, image), "lungs given": find_lobes(confined, image, lungs)}
    return [{"case": way, "scan": name, **lobe_dice(found.lobes, truth)} for way, found in ways.items()]


def main() -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--data", type=Path, required=True, help="folder with ProtonImages/ and the masks")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("runs/lobes_mr"))
    given = parser.parse_args()
    data, out = given.data.resolve(), given.out.resolve()
    names = sorted(file.name.removesuffix("H1.nii.gz") for file in (data / "ProtonImages").glob("*H1.nii.gz"))
    if not names:
        parser.error(f"{data}: no ProtonImages/NAMEH1.nii.gz in it; expected the data of LungAndLobeEstimationExample")
    rows = []
    for name in names:
        config = settings(cohort_without(name, names, data, out / f"without-{name}"), given.steps)
        run_stages(METHOD.stages[:3], out / f"run-{name}", config)
        rows += judged(out / f"run-{name}", name, data)
    table: Any = pd.DataFrame(rows)
    cases = []
    for way, lines in table.groupby("case"):
        mean = float(lines["mean"].mean())
        cases.append(
            {
                "case": way,
                **{lobe: float(lines[lobe].mean()) for lobe in LOBES},
                "mean": mean,
                "least": float(lines["mean"].min()),
                "best": float(lines["mean"].max()),
                "ratio": mean / ATLAS_DICE,
            }
        )
    if given.json:
        print(json.dumps({"benchmark": "lobes_mr", "steps": given.steps, "scans": rows, "cases": cases}))
        return
    print(pd.DataFrame(cases).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
