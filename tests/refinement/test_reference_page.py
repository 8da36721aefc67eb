"""The few lines that docs/reference/refinement.md shows, run on a small scan."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "refinement.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
SHAPE = (10, 20, 24)


def what_a_reader_has(*, lungs_as_tensor: bool) -> dict[str, object]:
    """A scan with a lung in it, as a volume and as tensors, and a map of it."""
    random = np.random.default_rng(0)
    scan = Volume(random.normal(-700, 150, SHAPE).astype(np.float32), Geometry(SHAPE, (1.25, 0.7, 0.7)))
    inside = np.zeros(SHAPE, dtype=np.uint8)
    inside[1:-1, 2:-2, 2:-2] = 1
    ct = torch.from_numpy(scan.voxels)[None, None]
    maps = torch.rand(1, 1, *SHAPE, generator=torch.Generator().manual_seed(0))
    return {
        "scan": scan,
        "regions": inside,
        "vessels": scan.with_voxels((random.random(SHAPE) > 0.9).astype(np.uint8), "label"),
        "lungs": torch.from_numpy(inside > 0)[None, None] if lungs_as_tensor else scan.with_voxels(inside, "label"),
        "ct": ct,
        "ct_hu": ct,
        "maps": maps,
        "edge": maps,
        "activation_map": maps,
        "activation_logits": torch.logit(maps.clamp(0.01, 0.99)),
        "features_1": torch.rand(1, 64, *SHAPE),
        "features_2": torch.rand(1, 128, *(side // 2 for side in SHAPE)),
        "mask": random.random(SHAPE) > 0.4,
        "mask_map": (mask_map := random.random(SHAPE)),
        "contour_map": mask_map,
        "examples": [(mask_map, 1 - mask_map, inside)],
    }


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_it_runs_as_shown(block: str) -> None:
    names = what_a_reader_has(lungs_as_tensor="region=lungs" in block)
    given = set(names)
    exec(block, names)
    answers = {name: value for name, value in names.items() if name not in given or name == "mask"}
    shown = [value for value in answers.values() if isinstance(value, torch.Tensor | np.ndarray | Volume)]
    assert shown
    for value in shown:
        voxels = value.voxels if isinstance(value, Volume) else np.asarray(torch.as_tensor(value).detach())
        assert voxels.shape[-3:] == SHAPE
        assert np.isfinite(voxels).all()


def test_every_piece_is_shown() -> None:
    assert len(BLOCKS) == 7
