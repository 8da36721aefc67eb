"""Model files are read by the method that wrote them, or refused in one line."""

from pathlib import Path

import pytest
import torch
from bright_ball import Brightness

from weakmask.errors import UserError
from weakmask.methods.supervised.maps import load
from weakmask.training.checkpoints import save_weights


def test_model_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_weights(path, Brightness(), {"method": "dram"})
    with pytest.raises(UserError, match="a dram model; expected one of method supervised"):
        load(path, torch.device("cpu"))
    save_weights(path, Brightness(), {"method": "supervised", "network": "unet", "arguments": {"width": 1}})
    with pytest.raises(
        UserError, match=r"its header is damaged \(3 faults: \(1\) score_map is nothing; expected a section of keys"
    ):
        load(path, torch.device("cpu"))
