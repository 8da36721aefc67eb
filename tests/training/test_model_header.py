"""Model files are not believed: a header of wrong types or bounds, or weights that are no numbers, is one line."""

import json
import math
import random
import struct
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bright_ball import scene
from safetensors.torch import load_file, save
from small_model import small_model

from weakmask.errors import UserError
from weakmask.methods import load_segmenter
from weakmask.networks import network_with
from weakmask.prediction import Scan
from weakmask.region_learning.segmenter import refuse_broken_map
from weakmask.regions.lobe_model import SHIPPED, load_lobe_model

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    small_model(folder)
    return folder / "model.safetensors"


def content_of(model: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    whole = model.read_bytes()
    head = json.loads(whole[8 : 8 + struct.unpack("<Q", whole[:8])[0]])
    return load_file(model), json.loads(head["__metadata__"]["weakmask"])


def with_text(weights: dict[str, torch.Tensor], text: str, path: Path) -> Path:
    path.write_bytes(save(weights, metadata={"weakmask": text}))
    return path


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_segmenter(path, "cpu")
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(str(path))
    assert len(line) < 700
    return line


TEXTS = ("", '{"kind": "weakmask weig', "[]", "{}", '"text"', "null", "7", '{"kind": 7, "header": {}}', "[" * 200_000,
         '{"kind": "weakmask weights 1"}', '{"kind": "weakmask weights 1", "header": null}',
         '{"kind": "weakmask weights 1", "header": []}', '{"kind": "weakmask weights 2", "header": {}}',
         '{"kind": "weakmask weights 1", "header": {"method": ' + "[" * 100 + "]" * 100 + "}}")  # fmt: skip

CHANGES: dict[str, Change] = {
    "method a list": lambda h: h.update(method=["dram"]),
    "method a mapping": lambda h: h.update(method={}),
    "no threshold": lambda h: h.pop("threshold"),
    "threshold a word": lambda h: h.update(threshold="abc"),
    "threshold NaN": lambda h: h.update(threshold=math.nan),
    "threshold infinite": lambda h: h.update(threshold=-math.inf),
    "threshold out of range": lambda h: h.update(threshold=1.5),
    "intervals a number": lambda h: h["score_map"].update(intervals=5),
    "intervals with a gap": lambda h: h["score_map"].update(intervals={"0": [0, 0.1], "1": [0.5, 1]}),
    "intervals with NaN": lambda h: h["score_map"]["intervals"].update({"1": [math.nan, 0.05]}),
    "no region names": lambda h: h["trained_on"].update(region_names=None),
    "region names of words": lambda h: h["trained_on"].update(region_names={"LUL": "1"}),
    "context a number": lambda h: h.update(context=5),
    "spacing zero": lambda h: h["trained_on"].update(crop_spacing_mm=[0, 0, 0]),
    "spacing a word": lambda h: h["trained_on"].update(crop_spacing_mm=["a"]),
    "scales a word": lambda h: h.update(scales=["x"]),
    "scales other than the config's": lambda h: h.update(scales=[1e9]),
    "prepare a word": lambda h: h.update(prepare="x"),
    "config a list": lambda h: h.update(config=[]),
    "config with NaN": lambda h: h["config"]["prepare"].update(window=[math.nan, 300]),
    "network unknown": lambda h: h.update(network="v"),
    "network too wide": lambda h: h["arguments"].update(width=4096),
    "network without bounds": lambda h: h["arguments"].update(width=10**12),
    "argument unknown": lambda h: h["arguments"].update(colour=1),
    "argument nested": lambda h: h["arguments"].update(width=[[1]]),
    "provenance a word": lambda h: h.update(provenance="me"),
}


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_header_that_is_none_is_one_line(model: Path, tmp_path: Path, text: str) -> None:
    line = refused(with_text(content_of(model)[0], text, tmp_path / "m.safetensors"))
    assert "its header " in line or "holds weakmask weights 2; expected weakmask weights 1" in line


@pytest.mark.parametrize("name", CHANGES)
def test_a_header_of_wrong_types_or_bounds_is_one_line(model: Path, tmp_path: Path, name: str) -> None:
    weights, content = content_of(model)
    changed = deepcopy(content)
    CHANGES[name](changed["header"])
    assert json.dumps(changed) != json.dumps(content)
    line = refused(with_text(weights, json.dumps(changed), tmp_path / "m.safetensors"))
    assert "model; expected one of" in line or "header" in line or "config" in line


def test_the_whole_file_is_accepted(model: Path) -> None:
    assert load_segmenter(model, "cpu").needs_regions[1] == "LUL"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_no_numbers_are_one_line(model: Path, tmp_path: Path, value: float) -> None:
    weights, content = content_of(model)
    name = next(name for name, tensor in weights.items() if tensor.is_floating_point())
    weights[name].view(-1)[0] = value
    line = refused(with_text(weights, json.dumps(content), tmp_path / "m.safetensors"))
    assert "not finite" in line


def test_weights_of_another_network_are_refused_before_memory_is_used(model: Path) -> None:
    weights, content = content_of(model)
    header = content["header"]
    assert network_with(header["network"], header["arguments"], weights).training
    with pytest.raises(ValueError, match="of shape"):
        network_with(header["network"], header["arguments"] | {"width": 4096}, weights)


def test_a_map_that_is_no_number_is_the_scan_s_fault(model: Path, tmp_path: Path) -> None:
    """Weights may be finite and their products not; every comparison with NaN is false, which reads as healthy."""
    weights, content = content_of(model)
    huge = {name: torch.full_like(value, 3e38) if value.ndim > 1 else value for name, value in weights.items()}
    segmenter = load_segmenter(with_text(huge, json.dumps(content), tmp_path / "m.safetensors"), "cpu")
    image, regions, _ = scene()
    with pytest.raises(UserError, match=r"^s: the model gives \d+ of \d+ voxels no number"):
        segmenter.segment(Scan("s", image, regions, {1: "LUL", 2: "LLL"}))
    assert refuse_broken_map(np.zeros((2, 2, 2)), "s") is None


def test_damaged_headers_are_accepted_or_one_line(model: Path, tmp_path: Path) -> None:
    weights, content = content_of(model)
    text = json.dumps(content)
    rng = random.Random(6)
    refusals = []
    for _ in range(30):
        at = rng.randrange(len(text))
        other = rng.choice(["", "[", "{", '"', "null", "NaN", "-1", "1e999", ",", "9" * 40, rng.choice(text)])
        path = with_text(weights, text[:at] + other + text[at + rng.choice((0, 1, 2, 9)) :], tmp_path / "m.safetensors")
        try:
            load_segmenter(path, "cpu")
        except UserError as error:
            refusals.append(str(error))
    assert len(refusals) > 10
    assert all("\n" not in line and line.startswith(str(path)) and len(line) < 700 for line in refusals)


def test_a_lobe_model_is_not_believed_either(tmp_path: Path) -> None:
    weights, content = content_of(Path(str(SHIPPED)))
    for change in (
        lambda h: h["config"]["network"].update(kernels=10**9),
        lambda h: h["config"]["network"].update(growth=[1, 2]),
        lambda h: h["config"].pop("masks"),
        lambda h: h["config"]["prepare"].update(window=[0, math.nan]),
        lambda h: h.update(config="x"),
    ):
        changed = deepcopy(content)
        change(changed["header"])
        path = with_text(weights, json.dumps(changed), tmp_path / "m.safetensors")
        with pytest.raises(UserError, match="its header is damaged"):
            load_lobe_model(path, "cpu")
