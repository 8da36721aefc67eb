"""The settings of maps -> labels of pixels; (I) is the released code of IRNet, (O) our own choice."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from weakmask.config import Fraction, Settings, Sigma


class LabelSettings(Settings):
    """Maps -> labels of pixels."""

    threshold: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.15, description="a map counts above this value (I: 0.3)"
    )
    low: Fraction | None = Field(
        default=None,
        description="pixels that are a class at this threshold but not at the other are ignored (I: 0.05); null: none",
    )
    shade: Literal["any", "dark", "bright", "dark spots", "bright spots"] = Field(
        default="any",
        description="each map counts times how dark or bright a pixel is in it, or among its surroundings: spots (O)",
    )
    spot_radius: Annotated[float, Field(ge=1, le=1000)] = Field(
        default=134.0, description="largest radius of a spot, in pixels (O)"
    )
    shade_sigma: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=4.5, description="sigma of a Gaussian over the grey values before it, in pixels (O)"
    )
    colours: Annotated[float, Field(ge=0, le=100)] = Field(
        default=0.7,
        description="weight of the colours of the picture's object and background beside each map (O); 0: none",
    )
    region: Literal["all", "sharpest"] = Field(
        default="all",
        description="all: what a map has above the threshold; sharpest: the part around its maximum, at the level"
        " whose outline has the greatest contrast (O)",
    )
    margin: Annotated[float, Field(ge=0, le=100)] = Field(
        default=0.0, description="the sharpest part is widened by this many pixels (O)"
    )
    crf: bool = Field(default=True, description="refine the labels by a dense CRF (I)")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] | None = Field(
        default=None, description="its trust in the labels (I: 0.7); null: it begins with the values of the maps (O)"
    )
    appearance_space: Sigma = Field(default=90.0, description="its sigma of space in pixels (O; I: 50)")
    appearance_intensity: Sigma = Field(default=12.0, description="its sigma of colour, of 255 (O; I: 5)")
    reference_side: Annotated[float, Field(ge=1, le=8192)] = Field(
        default=500.0, description="side of the pictures that the sigmas are made for (O)"
    )

    @model_validator(mode="after")
    def _thresholds_ascend(self) -> "LabelSettings":
        if self.low is not None and self.low >= self.threshold:
            raise ValueError(f"low is {self.low:g} and threshold {self.threshold:g}; low must be the lower one")
        return self

    @model_validator(mode="after")
    def _a_region_has_a_shade(self) -> "LabelSettings":
        if self.region != "all" and self.shade == "any":
            raise ValueError("region is sharpest and shade any; expected a shade, as the contrast of dark or bright")
        if self.region != "all" and self.low is not None:
            raise ValueError("region is sharpest and low has a value; expected low: null, as no pixel is unsure")
        return self
