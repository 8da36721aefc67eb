"""The predictor of each method for `weakmask predict`: a table, and a model file's entry in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from weakmask.errors import UserError
from weakmask.methods.cam import predict as cam
from weakmask.methods.cam import telling as cam_telling
from weakmask.methods.dram import predict as dram
from weakmask.methods.dram import telling as dram_telling
from weakmask.methods.dram.model import DramModel, Precision
from weakmask.methods.dram.model import load_model as load_dram
from weakmask.methods.supervised import predict as supervised
from weakmask.methods.supervised import telling as supervised_telling
from weakmask.region_learning.prediction import Prediction
from weakmask.region_learning.region_model import RegionModel
from weakmask.report.page import Page, ScanView
from weakmask.training.checkpoints import load_weights
from weakmask.volume.volume import Volume


@dataclass(frozen=True)
class Predictor:
    """The functions of one method.

    Attributes:
        load: Model file and device -> model: a `RegionModel`, or one with what the method needs beside.
        segment: Model, image, regions, and whether the regions are of the kind trained on -> prediction.
        page: Model, model file, score rows, scans to show, failures -> report.
    """

    load: Callable[..., Any]
    segment: Callable[..., Prediction]
    page: Callable[..., Page]


PREDICTORS = {
    "dram": Predictor(load_dram, dram.predict_scan, dram_telling.prediction_page),
    "cam": Predictor(cam.load_model, cam.predict_scan, cam_telling.prediction_page),
    "supervised": Predictor(supervised.load_model, supervised.predict_scan, supervised_telling.prediction_page),
}


@dataclass(frozen=True)
class Trained:
    """A model together with its method's functions."""

    predictor: Predictor
    model: Any

    @property
    def regional(self) -> RegionModel:
        """How the model sees regions: how scans become crops, the names of the labels it was trained on."""
        return self.model.regional if isinstance(self.model, DramModel) else self.model

    def segment(self, image: Volume, regions: Volume, *, trained_regions: bool) -> Prediction:
        """Segment one scan; `trained_regions` says whether the regions are of the kind the model was trained on."""
        return self.predictor.segment(self.model, image, regions, trained_regions=trained_regions)

    def page(
        self,
        model_path: Path,
        rows: Sequence[Mapping[Any, Any]],
        views: Sequence[Callable[[], ScanView]],
        failures: Sequence[str],
    ) -> Page:
        """The report of a prediction."""
        return self.predictor.page(self.model, model_path, rows, views, failures)


def load_trained(
    model_file: Path, device: torch.device, memory_gb: float = 4.0, precision: Precision = "auto"
) -> Trained:
    """Load the model of a file, of any method.

    Args:
        model_file: Weights with a header.
        device: Where to compute.
        memory_gb: For the feature maps of one tile, where the network segments whole scans.
        precision: Of those maps.

    Raises:
        UserError: Not a weights file of weakmask, or of a method that is not in the table.
    """
    _, header = load_weights(model_file)
    method = header.get("method")
    if method not in PREDICTORS:
        raise UserError(f"{model_file}: a {method or 'nameless'} model; expected one of {', '.join(PREDICTORS)}")
    model = PREDICTORS[method].load(model_file, device)
    if isinstance(model, DramModel):
        model = replace(model, memory_gb=memory_gb, precision=precision)
    return Trained(PREDICTORS[method], model)
