"""What needs no training: one threshold for all slices, chosen on the scores, on the picture as it is and opened.

Both are chosen on the crops that dRAM learns from, all scores weighing alike. In the floor that a run judges itself
beside, all regions weigh alike; where most regions are healthy, as among the simulated scores, its threshold comes out
far too high, so that it is no floor to be proud of. The opened picture is what the anchored training starts from: what
the network adds is the difference.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from weakmask.atomic_write import atomic_file
from weakmask.datasets.cohort import read_cohort
from weakmask.evaluation.table import result_rows, results_table
from weakmask.losses import inverse_frequency_weights
from weakmask.methods.dram.config import DramSettings, MapSettings
from weakmask.methods.dram.model import DramModel
from weakmask.methods.dram.predict import predict_scan
from weakmask.methods.dram.refinement import opened_threshold
from weakmask.refinement.grey_opening import opened
from weakmask.region_learning.crops import load_crops
from weakmask.region_learning.evaluate_run import fixed_threshold, overlaps_of
from weakmask.region_learning.region_model import RegionModel
from weakmask.region_learning.settings import DataSettings, PrepareSettings
from weakmask.region_learning.threshold_baselines import fixed_threshold_mask
from weakmask.region_learning.usable_cases import in_hounsfield
from weakmask.regions.scan_regions import read_regions
from weakmask.scoring.severity import CT_SEVERITY
from weakmask.volume.files import read_volume

FIXED, OPENED = "fixed threshold, scores weigh alike", "opened picture, threshold chosen on the scores"
STEEP = 200.0  # of the sigmoid that stands for a threshold


class OpenedPicture(nn.Module):
    """A network that is none: the sign of its logits is a threshold on the opened picture."""

    def __init__(self, voxels: int, threshold: float) -> None:
        """Hold the window and the threshold."""
        super().__init__()
        self.voxels = voxels
        self.threshold = nn.Parameter(torch.tensor(threshold), requires_grad=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of windowed crops."""
        return STEEP * (opened(image, self.voxels) - self.threshold)


def judge_floors(prepared: Path, test: Path, settings: PrepareSettings, voxels: int, out: Path) -> None:
    """Choose both thresholds on the training crops and judge them on a cohort, into results.csv.

    Args:
        prepared: The folder that dRAM's prepare stage left.
        test: The cohort to judge on.
        settings: How the crops were made.
        voxels: Window of the opening.
        out: Where results.csv goes; nothing is done if it is there.
    """
    if (out / "results.csv").exists():
        return
    crops = load_crops(prepared, "training", settings)
    weights = inverse_frequency_weights(crops.table["score"].tolist())
    threshold = fixed_threshold(prepared, settings, CT_SEVERITY, weights)
    regional = RegionModel(
        network=OpenedPicture(voxels, opened_threshold(crops, voxels, CT_SEVERITY)).eval(),
        config=DramSettings(data=DataSettings(cohort=test), prepare=settings, maps=MapSettings(scales=(1.0,))),
        score_map=CT_SEVERITY,
        region_names={},
        crop_spacing_mm=(1.0, 1.0, 1.0),
        header={},
    )
    model = DramModel(regional, threshold=0.5)
    rows: list[Mapping[str, object]] = []
    for case in read_cohort(test).cases:
        if case.regions is None or case.lesions is None:
            continue
        picture = read_volume(case.image)
        regions = read_regions(case.regions, picture)
        image, truth = in_hounsfield(picture, regions, settings), read_regions(case.lesions, picture)
        masks = {
            FIXED: fixed_threshold_mask(image.voxels, regions.voxels, [1, 2], threshold),
            OPENED: predict_scan(model, image, regions).mask.voxels,
        }
        for method, mask in masks.items():
            rows += result_rows(method, case.name, overlaps_of(mask, truth.voxels, regions.voxels > 0), case.group)
    table = results_table(rows)
    out.mkdir(parents=True, exist_ok=True)
    with atomic_file(out / "results.csv") as temporary:
        table[table["subset"] == "all"].to_csv(temporary, index=False)
