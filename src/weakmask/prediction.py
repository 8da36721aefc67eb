"""Input and output of a model: a scan, and a prediction that any method can fill."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from weakmask.scoring.score_sets import span_of
from weakmask.volume.label_pairs import Planes
from weakmask.volume.new_arrays import NewArrays
from weakmask.volume.stack import Stack
from weakmask.volume.storage_order import in_order_of, upright
from weakmask.volume.volume import Volume

Precision = Literal["auto", "float32", "bfloat16", "float16"]
Quantity = Literal["fraction", "probability", "count"]
Kind = Literal["classes", "instances"]  # of the labels of a mask


@dataclass(frozen=True)
class Scan:
    """One image as a model gets it.

    Attributes:
        name: Of the image, for tables and messages.
        image: With its own grey values: Hounsfield units of a CT.
        regions: Region labels on the same grid; None: the image has none.
        region_names: Label -> name of the regions.
        colour: Red, green and blue of a picture, (3, y, x); None: the image is not a picture.
    """

    name: str
    image: Volume
    regions: Volume | None = None
    region_names: Mapping[int, str] = field(default_factory=dict)
    colour: np.ndarray | None = None


@dataclass(frozen=True)
class Value:
    """One number that a model gives for a region or for a whole image.

    Attributes:
        scope: The region or the image that it belongs to.
        name: Of the region, or of the image.
        quantity: Meaning of the number.
        amount: The number: a fraction or probability in [0, 1], or a count.
        of: The class, for example "lesion".
        score: The severity score of the amount; None: the method gives none.
        score_set: The scores that the region may have, with the coverage that the model states; empty: the model is
            not calibrated, see `weakmask.scoring.score_sets`.
    """

    scope: Literal["region", "image"]
    name: str
    quantity: Quantity
    amount: float
    of: str = "lesion"
    score: int | None = None
    score_set: tuple[int, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """Output of a model for one scan; all volumes lie on the grid of its image.

    Attributes:
        mask: 0 outside, else a class, or an instance.
        maps: Activation maps in [0, 1] by name.
        regions: The regions it was made in; None: none were needed.
        values: In the order in which tables show them.
        kind: Meaning of the labels of the mask.
        instances: A row per instance, if the labels are instances and the model describes them.
    """

    mask: Volume
    maps: Mapping[str, Volume]
    regions: Volume | None
    values: tuple[Value, ...]
    kind: Kind = "classes"
    instances: pd.DataFrame | None = None

    @property
    def table(self) -> pd.DataFrame:
        """One row per value, as in the scores.csv of `weakmask predict`: region, fraction, score_predicted."""
        return pd.DataFrame(value_rows("", self.values)).drop(columns="scan", errors="ignore")

    @property
    def severity(self) -> int | None:
        """The sum of the scores; None if the method gives none."""
        scores = [value.score for value in self.values if value.score is not None]
        return sum(scores) if scores else None


@dataclass(frozen=True)
class StackPrediction:
    """Output of a model for a stack, on its own grid, in arrays that may lie on the disk.

    Attributes:
        mask: 0 outside, else an instance; uint32 (z, y, x).
        maps: Maps in 255ths by name, uint8.
        values: In the order in which tables show them.
        instances: A row per instance.
    """

    mask: Planes
    maps: Mapping[str, Planes]
    values: tuple[Value, ...]
    instances: pd.DataFrame


@dataclass(frozen=True)
class About:
    """Description of a model for a report.

    Attributes:
        title: The method in a few words.
        methods_text: Paragraphs for the draft of a paper, parted by blank lines.
        config: The settings of its run.
        provenance: Versions and machine of its training.
        tiles: Key numbers: label and value.
        notes: Sentences about the model that a user should read before its results.
    """

    title: str
    methods_text: str = field(repr=False)
    config: Mapping[str, Any] = field(repr=False)
    provenance: Mapping[str, Any] = field(repr=False)
    tiles: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """Resources of networks that segment whole scans.

    Attributes:
        memory_gb: Memory for feature maps, in GB; less makes more tiles.
        precision: Number format of feature maps; 16-bit formats halve the memory. auto: bfloat16 on a graphics card,
            else float32.
    """

    memory_gb: float = 4.0
    precision: Precision = "auto"


@runtime_checkable
class Segmenter(Protocol):
    """A trained model of any method."""

    @property
    def needs_regions(self) -> Mapping[int, str]:
        """Label -> name of the regions that it was trained on; empty: it needs none."""
        ...

    @property
    def needs_hounsfield(self) -> bool:
        """Whether images must be in Hounsfield units, as those of a CT are."""
        ...

    @property
    def about(self) -> About:
        """Description of the model for a report."""
        ...

    def segment(self, scan: Scan) -> Prediction:
        """Segment one scan.

        Raises:
            UserError: The scan does not fit the model.
        """
        ...

    def shown(self, scan: Scan) -> tuple[Volume, tuple[float, float]]:
        """The image as a report shows it, and the grey values that are black and white."""
        ...


@runtime_checkable
class StackSegmenter(Protocol):
    """A trained model that segments stacks on the disk block by block, so that they may be larger than the memory."""

    def segment_stack(self, name: str, stack: Stack, new: NewArrays) -> StackPrediction:
        """Segment one stack.

        Args:
            name: Of the stack, for tables and messages.
            stack: The stack, whose voxels are finite.
            new: Makes the arrays of intermediate and final results.

        Raises:
            UserError: The stack does not fit the model.
        """
        ...


def finds_instances(segmenter: Segmenter) -> bool:
    """Whether the labels of a model's masks are instances; such a model has an attribute `kind` that says so."""
    return getattr(segmenter, "kind", "classes") == "instances"


def segment_in_any_order(segmenter: Segmenter, scan: Scan) -> Prediction:
    """Segment one scan; the order in which its voxels are stored changes nothing.

    Args:
        segmenter: The model. Its scan runs toward head, back and left, see `upright`.
        scan: A scan in the order of its file.

    Returns:
        The prediction in the order of the scan.

    Raises:
        UserError: As `Segmenter.segment`.
    """
    stored, image = scan.image.geometry, upright(scan.image)
    regions = None if scan.regions is None else in_order_of(scan.regions, image.geometry)
    found = segmenter.segment(replace(scan, image=image, regions=regions))
    return replace(
        found,
        mask=in_order_of(found.mask, stored),
        maps={name: in_order_of(activation, stored) for name, activation in found.maps.items()},
        regions=None if found.regions is None else in_order_of(found.regions, stored),
    )


def one_sided(fractions: Sequence[float], scans: int) -> str:
    """A sentence about masks that mark nothing or everything; empty where masks differ.

    Args:
        fractions: The share of each region that is marked, of all scans.
        scans: Number of scans.
    """
    remedy = (
        "train it for more steps or with a higher learning rate (`regression.steps`, `regression.learning_rate` of "
        'dRAM; see "What the paper leaves open" in the documentation of dRAM)'
    )
    if fractions and max(fractions) == 0:
        some = f"any of the {scans} scans" if scans > 1 else "the scan"
        return f"the model marked no voxel in {some}; if there are lesions, it has learnt nothing yet: {remedy}"
    if fractions and min(fractions) == 1:
        return f"the model marked every voxel of every region, so it has learnt nothing yet: {remedy}"
    return ""


def value_rows(scan: str, values: tuple[Value, ...]) -> list[dict[str, object]]:
    """One row per value, for a table.

    The columns are `scan`, `region` (empty for the whole image), `class` where there are several, the quantities, and
    `score_predicted` where the method gives scores, and `score_set` ("1 to 2") where the model is calibrated.
    """
    classes = {value.of for value in values}
    scored = any(value.score is not None for value in values)
    calibrated = any(value.score_set for value in values)
    return [
        {
            "scan": scan,
            "region": value.name if value.scope == "region" else "",
            **({"class": value.of} if len(classes) > 1 else {}),
            value.quantity: round(value.amount, 6),
            **({"score_predicted": value.score} if scored else {}),
            **({"score_set": span_of(value.score_set)} if calibrated else {}),
        }
        for value in values
    ]
