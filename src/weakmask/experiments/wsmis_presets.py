"""The settings of the tables of WSMIS: data set -> values that differ from the method's defaults.

`quick` is for two cores and half an hour a seed. `paper` and `code` have the numbers of the paper and of its authors'
released code, as far as these name any, and want a GPU; epochs are turned into steps by the 10,675 training pictures of
SIIM-ACR, or the 10,582 of PASCAL VOC.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from weakmask.config import parse, with_values
from weakmask.experiments.experiment import Preset
from weakmask.methods.wsmis import WsmisSettings
from weakmask.methods.wsmis.baselines import FloorSettings

Values = Mapping[str, Any]  # "section.field" -> value

PHOTOGRAPHS: Values = {}  # the defaults, as configs/wsmis_photographs.yaml
XRAYS: Values = {  # as configs/wsmis_xray.yaml
    "network.dropblock": 0.2,
    "augmentation.scales": (0.9, 1.1),
    "augmentation.angle_degrees": 10.0,
    "classification.steps": 200,
    "labels.threshold": 0.3,
    "labels.colours": 0.0,  # grey values say too little
    "labels.appearance_space": 45.0,  # a wider CRF removes small things
}
ULTRASOUND: Values = {  # as configs/wsmis_ultrasound.yaml
    **XRAYS,
    "classification.any_class": 0.5,
    "labels.shade": "dark spots",
    "labels.threshold": 0.35,
    "labels.region": "sharpest",
    "labels.margin": 4.5,
    "labels.confidence": 0.7,  # of the row with a CRF
    "labels.crf": False,  # it takes the borders away that the regions have found
    "masks.region": "sharpest",
}
SMALL_FINDINGS: Values = {  # as configs/wsmis_small_findings.yaml
    "network.levels": 3,
    "network.pooled": 0.03,
    "network.frozen_stride": 4,
    "network.dropblock": 0.0,
    "augmentation.blur": 0.0,  # it hides the line of the pleura
    "classification.steps": 400,
    "maps.scales": (1.0,),  # larger pictures are not what so few levels have learnt
    "labels.threshold": 0.1,
    "labels.crf": False,  # it takes thin things away
    "segmentation.positive_weight": 3.0,  # else the ends of thin things are lost
}
QUICK: Mapping[str, Values] = {
    "pets": {**PHOTOGRAPHS, "masks.gate": 0.0},  # every picture has a class
    "voc": {**PHOTOGRAPHS, "masks.gate": 0.0},
    "busi": {**ULTRASOUND, "masks.gate": 0.8},
    "siim": {**XRAYS, "masks.gate": 0.5},
    "phantoms": {**XRAYS, **SMALL_FINDINGS, "masks.gate": 0.5},
}

LOW = 2 / 3  # lower threshold of the quick row with IRNet, of the upper one

PUBLISHED: Values = {
    "network.frozen_stride": 0,
    "network.stride": 8,
    "maps.variant": "gradcam++",
    "maps.scales": (1.0,),
    "maps.mirror": False,
    "labels.threshold": 0.3,
    "labels.colours": 0.0,
    "labels.low": 0.05,
    "labels.confidence": 0.7,
    "labels.appearance_space": 50.0,
    "labels.appearance_intensity": 5.0,
    "boundary.train": True,
    "boundary.seeds": 0.0,
    "boundary.walk_steps": 256,
    "segmentation.schedule": "poly",
    "segmentation.warm_up": 0,
    "segmentation.optimiser": "sgd",
    "segmentation.widths": (256, 128, 64, 32, 16),
    "segmentation.rounds": 1,
    "masks.gate": 0.0,
    "masks.weigh": False,
    "masks.mirror": False,
    "masks.scales": (1.0,),
}
PAPER_XRAYS: Values = {
    **PUBLISHED,
    "prepare.side": 512,
    "network.backbone": "se_resnext50_32x4d",
    "network.dropblock": 0.2,
    "classification.batch": 48,
    "classification.steps": 11_000,
    "boundary.batch": 32,
    "boundary.steps": 1_000,
    "segmentation.batch": 48,
    "segmentation.steps": 8_900,
    "segmentation.stride": 32,
    "segmentation.learning_rate": 6e-5,
    "segmentation.encoder_factor": 1.0,
    "segmentation.weight_decay": 1e-6,
}
PAPER_PHOTOGRAPHS: Values = {
    **PAPER_XRAYS,
    "network.backbone": "resnet50",
    "network.dropblock": 0.3,
    "segmentation.network": "deeplab_v3_plus",
    "segmentation.stride": 16,
}
CODE_XRAYS: Values = {
    **PUBLISHED,
    "prepare.side": 256,
    "network.backbone": "resnet50",
    "network.dropblock": 0.2,
    "classification.batch": 16,
    "classification.steps": 33_000,
    "classification.optimiser": "adam",
    "classification.learning_rate": 1e-4,
    "classification.weight_decay": 1e-5,
    "boundary.batch": 24,
    "boundary.steps": 4_400,
    "segmentation.batch": 64,
    "segmentation.steps": 6_700,
    "segmentation.stride": 32,
    "segmentation.learning_rate": 1e-3,
    "segmentation.encoder_factor": 0.1,
    "segmentation.weight_decay": 1e-6,
}
CODE_PHOTOGRAPHS: Values = {
    **CODE_XRAYS,
    "prepare.side": 352,
    "network.dropblock": 0.3,
    "classification.batch": 32,
    "classification.steps": 16_500,
    "classification.optimiser": "radam",
    "segmentation.network": "deeplab_v3",
    "segmentation.stride": 8,
    "segmentation.batch": 12,
    "segmentation.steps": 35_000,
    "segmentation.learning_rate": 1e-2,
    "masks.scales": (0.5, 0.75, 1.0),
}
OF_PHOTOGRAPHS = ("pets", "voc")
PHANTOMS = {"quick": (240, 80, 256), "paper": (2000, 500, 512), "code": (2000, 500, 512)}  # training, test, pixels


def wsmis_settings(values: Values) -> WsmisSettings:
    """Settings with these values, for an experiment: all pictures of its training cohort are learnt.

    Raises:
        UserError: An unknown field, or a value out of its range.
    """
    whole = with_values({}, {"data.cohort": Path(), "data.validation": 0.0, **values})
    return parse(WsmisSettings, whole, "a preset")


def presets_of(name: str) -> dict[str, Preset]:
    """The presets of a data set: quick, paper and code."""
    photographs = name in OF_PHOTOGRAPHS
    values = {
        "quick": QUICK[name],
        "paper": PAPER_PHOTOGRAPHS if photographs else PAPER_XRAYS,
        "code": CODE_PHOTOGRAPHS if photographs else CODE_XRAYS,
    }
    presets = {preset: preset_of(of, of if "boundary.train" in of else with_irnet(of)) for preset, of in values.items()}
    if name != "phantoms":
        return presets
    return {
        preset: replace(presets[preset], training_scans=training, test_scans=test, shape=(1, side, side))
        for preset, (training, test, side) in PHANTOMS.items()
    }


def with_irnet(values: Values) -> Values:
    """The values of the row that adds IRNet."""
    low = LOW * wsmis_settings(values).labels.threshold
    return {**values, "boundary.train": True, "labels.low": low, "labels.region": "all", "labels.crf": True}


def preset_of(values: Values, with_irnet: Values) -> Preset:
    """A preset from the values of WSMIS, and from those of the row that adds IRNet."""
    settings = wsmis_settings(values)
    floor = FloorSettings(data=settings.data, prepare=settings.prepare)
    return Preset({"wsmis": settings, "irnet": wsmis_settings(with_irnet), "wsmis-floor": floor})
