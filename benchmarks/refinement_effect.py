"""Is a CRF worth it? What each refinement does to the masks of a trained dRAM, on scans with known lesions.

Takes a finished run without a context network and a cohort with truth/ (the demo's raw dRAM by default), makes each
scan's map once, and judges the mask cut from it: as it is, without vessels, after the dense CRF, after a random walk,
without vessels and after the CRF, inside the lesion candidates, and cleaned of small components. Printed are the mean
IoU over scans with lesions, the pooled IoU and the difference of the mean from the plain mask with a 95 % bootstrap
interval over scans; `ratio` = mean IoU with / without. The plain mask is the peer.

Usage: refinement_effect.py [--json] [--run DIR] [--cohort DIR] [--crf S,W,A,I,W] [--pictures DIR]
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from weakmask.datasets.cohort import read_cohort
from weakmask.evaluation.overlap import overlap
from weakmask.methods import model_file
from weakmask.methods.dram.maps import map_of_scan
from weakmask.methods.dram.model import DramModel, load_model
from weakmask.refinement import CRF, drop_small, intensity_affinity, lesion_candidates, random_walk, refine_map
from weakmask.refinement.vessels import vessel_mask
from weakmask.volume.files import read_volume
from weakmask.volume.volume import Volume

CT_CRF = CRF(smoothness_mm=3, smoothness_weight=2, appearance_mm=10, appearance_intensity=90, appearance_weight=4)
HU = (-1200.0, 300.0)
WALK_RADIUS, WALK_SIGMA_HU, WALK_STEPS = 2, 90.0, 16


@dataclass(frozen=True)
class Scan:
    """What all refinements start from."""

    name: str
    image: Volume
    regions: np.ndarray
    activation: np.ndarray
    vessels: np.ndarray
    truth: np.ndarray
    threshold: float

    def cut(self, activation: np.ndarray) -> np.ndarray:
        """The mask of a map."""
        return (activation >= self.threshold) & (self.regions > 0)

    def without_vessels(self) -> np.ndarray:
        """The map, zero in vessels."""
        return np.where(self.vessels, 0, self.activation)


def main() -> None:
    """Judge every refinement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--run", type=Path, default=Path("runs/demo-raw"), help="a finished run or a model file")
    parser.add_argument("--cohort", type=Path, default=Path("runs/demo-phantoms/test"), help="scans with truth/")
    parser.add_argument(
        "--crf", default="", help="smoothness mm, weight, appearance mm, HU, weight; default the config's"
    )
    parser.add_argument("--pictures", type=Path, help="write a picture of one scan before and after into this folder")
    arguments = parser.parse_args()
    given = [float(value) for value in arguments.crf.split(",")] if arguments.crf else []
    crf = CRF(given[0], given[1], given[2], given[3], given[4]) if given else CT_CRF
    model = load_model(model_file(arguments.run), torch.device("cpu"))
    scans = [scan for case in read_cohort(arguments.cohort).cases if (scan := prepared(case, model)) is not None]
    refinements = all_refinements(crf)
    masks = {name: [refine(scan) for scan in scans] for name, refine in refinements.items()}
    results = [judged(name, masks[name], masks["as it is"], scans) for name in refinements]
    if arguments.pictures:
        draw(scans, masks, arguments.pictures)
    if arguments.json:
        print(json.dumps({"benchmark": "refinement_effect", "scans": len(scans), "cases": results}))
        return
    for r in results:
        print(
            f"{r['case']:24} IoU mean {r['iou_mean']:.3f}, pooled {r['iou_pooled']:.3f}, gain {r['gain']:+.3f} "
            f"[{r['gain_low']:+.3f}, {r['gain_high']:+.3f}], ratio {r['ratio']:.3f}"
        )


def prepared(case: Any, model: DramModel) -> Scan | None:
    """A case with its map; None without lesions to be judged on."""
    if case.truth is None or case.regions is None:
        return None
    image, regions = read_volume(case.image), read_volume(case.regions, "label")
    activation = map_of_scan(model, image, regions)
    vessels = vessel_mask(image, regions.voxels > 0).voxels > 0
    truth = read_volume(case.truth, "label").voxels > 0
    return Scan(case.name, image, regions.voxels, activation, vessels, truth, model.threshold)


def all_refinements(crf: CRF) -> dict[str, Callable[[Scan], np.ndarray]]:
    """Name -> what makes a mask of a scan's map."""

    def after_crf(scan: Scan, activation: np.ndarray) -> np.ndarray:
        grey = np.clip(scan.image.voxels, *HU).astype(np.float32)
        tensors = (torch.from_numpy(np.ascontiguousarray(a))[None, None] for a in (activation, grey, scan.regions > 0))
        p, grey_tensor, region = tensors
        # the map's own threshold is where the CRF is undecided
        odds = torch.logit(p.float().clamp(1e-4, 1 - 1e-4)) - np.log(scan.threshold / (1 - scan.threshold))
        refined = refine_map(torch.sigmoid(odds), grey_tensor, crf, scan.image.geometry.spacing_mm, region)
        return (refined[0, 0].numpy() > 0.5) & (scan.regions > 0)

    def after_walk(scan: Scan) -> np.ndarray:
        grey = np.clip(scan.image.voxels, *HU).astype(np.float32)
        z, y, x = (slice(int(axis.min()), int(axis.max()) + 1) for axis in np.nonzero(scan.regions))
        arrays = (grey[z, y, x], scan.regions[z, y, x] > 0, scan.activation[z, y, x])
        grey, inside, activation = (torch.from_numpy(np.ascontiguousarray(a)).float()[None, None] for a in arrays)
        affinity = intensity_affinity(grey, WALK_RADIUS, WALK_SIGMA_HU)
        # what arrives of the map, over what arrives at all: nothing comes from outside the regions
        seeds = torch.cat([activation * inside, inside], dim=1)
        lesion, all_of_it = random_walk(seeds, affinity, radius=WALK_RADIUS, beta=1.0, steps=WALK_STEPS)[0]
        mask = np.zeros(scan.regions.shape, dtype=bool)
        mask[z, y, x] = ((lesion >= scan.threshold * all_of_it) & (inside[0, 0] > 0)).numpy()
        return mask

    return {
        "as it is": lambda scan: scan.cut(scan.activation),
        "without vessels": lambda scan: scan.cut(scan.without_vessels()),
        "dense CRF": lambda scan: after_crf(scan, scan.activation),
        "random walk": after_walk,
        "without vessels, CRF": lambda scan: after_crf(scan, scan.without_vessels()),
        "inside candidates": lambda scan: (
            scan.cut(scan.activation) & (lesion_candidates(scan.image, scan.regions, scan.vessels).voxels > 0)
        ),
        "components of 0.5 ml": lambda scan: drop_small(
            scan.cut(scan.activation), 500.0, scan.image.geometry.spacing_mm
        ),
    }


def judged(name: str, masks: list[np.ndarray], plain: list[np.ndarray], scans: list[Scan]) -> dict[str, Any]:
    """IoU per scan with lesions, pooled over all, and the gain over the plain mask."""
    ill = [i for i, scan in enumerate(scans) if scan.truth.any()]
    iou, before = (np.array([overlap(m[i], scans[i].truth).iou for i in ill]) for m in (masks, plain))
    shared = sum(int((m & s.truth).sum()) for m, s in zip(masks, scans, strict=True))
    either = sum(int((m | s.truth).sum()) for m, s in zip(masks, scans, strict=True))
    random = np.random.default_rng(0)
    gains = (iou - before)[random.integers(0, len(ill), (5000, len(ill)))].mean(1)
    return {
        "case": name,
        "ratio": float(iou.mean() / before.mean()),
        "iou_mean": float(iou.mean()),
        "iou_pooled": shared / max(1, either),
        "gain": float((iou - before).mean()),
        "gain_low": float(np.quantile(gains, 0.025)),
        "gain_high": float(np.quantile(gains, 0.975)),
        "scans_with_lesions": len(ill),
    }


def draw(scans: list[Scan], masks: dict[str, list[np.ndarray]], folder: Path) -> None:
    """One axial slice of the scan with the most lesion: every mask's outline beside the truth's."""
    import matplotlib as mpl  # noqa: PLC0415 (only for pictures)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    which = int(np.argmax([scan.truth.sum() for scan in scans]))
    scan = scans[which]
    level = int(scan.truth.sum((1, 2)).argmax())
    figure, axes = plt.subplots(3, 3, figsize=(11, 11), layout="constrained")
    first, second, *others = axes.ravel()
    first.imshow(scan.image.voxels[level], cmap="gray", vmin=-1000, vmax=200)
    first.set_title("scan")
    second.imshow(scan.activation[level], cmap="magma", vmin=0, vmax=1)
    second.set_title("map")
    for axis, (name, found) in zip(others, masks.items(), strict=True):
        axis.imshow(scan.image.voxels[level], cmap="gray", vmin=-1000, vmax=200)
        for mask, colour in ((scan.truth, "#00c8ff"), (found[which], "#ffb000")):
            if mask[level].any():
                axis.contour(mask[level], [0.5], colors=colour, linewidths=1)
        axis.set_title(f"{name}: IoU {overlap(found[which], scan.truth).iou:.2f}")
    for axis in axes.ravel():
        axis.axis("off")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "refinement.png", dpi=110)


if __name__ == "__main__":
    main()
