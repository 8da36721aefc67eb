"""The decoder is the one with the highest score of the settings on the validation sections."""

from pathlib import Path

import numpy as np
import pytest

from weakmask.methods.mitochondria import MitochondriaSettings
from weakmask.methods.mitochondria.instances import OWN, instances, read_decoders
from weakmask.methods.mitochondria.probabilities import map_file
from weakmask.methods.mitochondria.stack_index import StackRow, labels_file, write_index
from weakmask.pipeline import Work
from weakmask.volume.files import write_volume
from weakmask.volume.volume import Volume

NM = (30e-6, 8e-6, 8e-6)
HELD_OUT = 2  # sections, the first ones


def truth_and_mask() -> tuple[np.ndarray, np.ndarray]:
    """Four bodies; one is sure and exact above 0.6, and all are found with an IoU of 0.69 below."""
    truth, mask = np.zeros((6, 40, 80), np.int32), np.zeros((6, 40, 80), np.uint8)
    for number in range(4):
        columns = slice(20 * number + 4, 20 * number + 14)
        truth[:, 10:20, columns] = number + 1
        mask[:, 9:21, columns.start - 1 : columns.stop + 1] = 153
    mask[:, 10:20, 4:14] = 240
    return truth, mask


@pytest.mark.parametrize(("criterion", "found"), [("ap_75", 1), ("mean_ap", 4), ("panoptic", 4)])
def test_the_search_raises_the_score_of_the_settings(tmp_path: Path, criterion: str, found: int) -> None:
    truth, mask = truth_and_mask()
    row = StackRow("a", "a", "training", 6, HELD_OUT, 4, 40, 80, 1, 30.0, 8.0, 8.0, instances=4, foreground=0.1)
    prepared, maps = tmp_path / "01-prepare", tmp_path / "05-probabilities"
    (prepared / "training").mkdir(parents=True)
    (maps / "validation").mkdir(parents=True)
    write_index([row], prepared)
    write_volume(Volume.from_array(truth, NM, "label"), labels_file(prepared, row))
    for of, values in (("mask", mask), ("contour", np.zeros_like(mask))):
        write_volume(Volume.from_array(values[:HELD_OUT], NM), map_file(maps, row, of))
    decoder = {"method": "components", "criterion": criterion}
    config = MitochondriaSettings.model_validate({"data": {"cohort": "c"}, "decoder": decoder})
    work = Work(tmp_path, tmp_path / "06-instances", config)
    work.out.mkdir()
    instances(work)
    chosen = read_decoders(work.out)[OWN]
    assert (chosen.mask >= 0.6) == (found == 1)
    assert len(np.unique(chosen.decode(mask, mask))) - 1 == found
