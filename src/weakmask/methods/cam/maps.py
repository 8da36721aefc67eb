"""Stages 3 to 5: the model file; maps, masks and scores of the scans that are judged; their tables."""

from functools import partial

from weakmask.methods.cam.predict import load_model, otsu_mask, predict_scan
from weakmask.pipeline import Work
from weakmask.region_learning.evaluate_run import judge_masks
from weakmask.region_learning.prediction import Prediction
from weakmask.region_learning.region_model import MODEL, write_model
from weakmask.region_learning.write_predictions import write_maps
from weakmask.training.devices import device_of
from weakmask.volume.files import write_volume
from weakmask.volume.volume import Volume

RAW = "masks-raw"
RAW_ROW, REFINED_ROW = "CAM raw", "CAM + refine"


def model(work: Work) -> None:
    """Stage 3: write model.safetensors."""
    write_model(work, work.stage("classification") / f"{work.config.classification.keep}.safetensors")


def maps(work: Work) -> None:
    """Stage 4: activation/, masks/ and scores.csv, and masks-raw/ where the masks are refined."""
    trained = load_model(work.stage("model") / MODEL, device_of(work.config.device))
    write_maps(work, partial(predict_scan, trained), partial(_write_raw, work) if work.config.maps.refine else None)


def judge(work: Work) -> None:
    """Stage 5: the tables; a refined run is also judged as it was before."""
    folder = work.stage("maps")
    masks = {row_of(refine=work.config.maps.refine): folder / "masks"}
    if work.config.maps.refine:
        masks[RAW_ROW] = folder / RAW
    judge_masks(work, masks)


def row_of(*, refine: bool) -> str:
    """The row of the paper's ablation (Table IV b)."""
    return REFINED_ROW if refine else RAW_ROW


def _write_raw(work: Work, name: str, found: Prediction) -> None:
    raw = otsu_mask(found.activation.voxels, found.regions.voxels > 0)
    write_volume(Volume(raw, found.mask.geometry, "label"), work.out / RAW / f"{name}.nii.gz")
