"""Masks that depend on the threshold of their map are noted, for models whose masks were measured."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from weakmask.inference.doubtful_mask import doubt_of, threshold_dependence
from weakmask.inference.trained_model import Model
from weakmask.prediction import About, Prediction, Scan
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

GEOMETRY = Geometry((1, 2, 5))
REGIONS = np.array([[[1, 1, 1, 2, 2], [2, 2, 0, 0, 0]]], np.uint8)


@dataclass
class Measured:
    """A model; only this attribute is looked at."""

    has_probability_maps: bool = True


def prediction(high: int, between: int) -> Prediction:
    """A prediction whose map is 0.8 in some voxels of the regions, 0.4 in some, and 0.9 outside all regions."""
    values = np.full(10, 0.1, np.float32)
    values[:high], values[high : high + between], values[7:] = 0.8, 0.4, 0.9
    activation = Volume(values.reshape(1, 2, 5), GEOMETRY)
    regions = Volume(REGIONS, GEOMETRY, "label")
    return Prediction(activation.with_voxels(activation.voxels >= 0.5), {"activation": activation}, regions, ())


@pytest.mark.parametrize(
    ("high", "between", "lost"), [(1, 3, 0.75), (3, 1, 0.25), (0, 2, 1.0), (4, 0, 0.0), (0, 0, 0.0)]
)
def test_the_share_that_is_lost_is_counted_inside_the_regions(high: int, between: int, lost: float) -> None:
    found = prediction(high, between)
    assert threshold_dependence(found.maps["activation"].voxels, REGIONS) == pytest.approx(lost)


def test_a_mask_that_depends_on_the_threshold_is_doubtful() -> None:
    line = doubt_of("s1", Measured(), prediction(1, 3))  # pyright: ignore[reportArgumentType]
    assert line.startswith("s1: its mask is doubtful")
    assert "with 0.7 instead of 0.3 it would be 75 % smaller" in line


@pytest.mark.parametrize(("high", "between", "measured"), [(3, 1, True), (0, 0, True), (1, 3, False)])
def test_other_masks_and_other_models_have_no_note(high: int, between: int, measured: bool) -> None:
    assert doubt_of("s1", Measured(measured), prediction(high, between)) == ""  # pyright: ignore[reportArgumentType]


@dataclass
class Doubtful:
    """A model that finds the same doubtful mask in any image."""

    has_probability_maps: bool = True
    needs_hounsfield: bool = False
    needs_regions: dict[int, str] = field(default_factory=dict)
    about: About = field(default_factory=lambda: About("doubtful", "", {}, {}))

    def segment(self, scan: Scan) -> Prediction:
        return prediction(1, 3)

    def shown(self, scan: Scan) -> tuple[Volume, tuple[float, float]]:
        return scan.image, (0.0, 1.0)


def test_the_note_is_among_the_warnings_of_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    result = Model(Doubtful(), "cpu").segment(Volume(np.zeros((1, 2, 5), np.float32), GEOMETRY), name="s1")
    (line,) = [warning for warning in result.warnings if "doubtful" in warning]
    assert line.startswith("s1: its mask is doubtful")
    assert line in capsys.readouterr().err
