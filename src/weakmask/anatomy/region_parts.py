"""The side and the height of a region, read from its name: `LUL`, `left upper`, `lung_lower_lobe_right`."""

import re
from dataclasses import dataclass
from typing import Literal

Side = Literal["left", "right", ""]
Height = Literal["upper", "middle", "lower", ""]

CODE = re.compile(r"([LR])([UML])[A-Z]", re.IGNORECASE)  # LUL, RML; zones of X-rays: RUZ, LLZ
SIDES: dict[str, Side] = {
    **dict.fromkeys(("left", "l", "lt", "sin"), "left"),
    **dict.fromkeys(("right", "r", "rt", "dx"), "right"),
}
HEIGHTS: dict[str, Height] = {
    **dict.fromkeys(("upper", "top", "superior", "apical", "u"), "upper"),
    **dict.fromkeys(("middle", "mid", "m"), "middle"),
    **dict.fromkeys(("lower", "bottom", "inferior", "basal"), "lower"),
}
CODE_HEIGHTS: dict[str, Height] = {"U": "upper", "M": "middle", "L": "lower"}
LUNG_WORDS = {"lung", "lungs", "lobe", "lobes", "pulmonary"}
FILLING_WORDS = {"third", "zone", "field", "part", "region", "both", "whole", "all"}


@dataclass(frozen=True)
class RegionPart:
    """Meaning of a region's name.

    Attributes:
        side: Of the patient; empty if the name has none.
        height: Among the regions of its side; empty if the name has none.
        organ: The other words of the name; empty for a lung or a part of one.
    """

    side: Side = ""
    height: Height = ""
    organ: str = ""

    @property
    def is_lung(self) -> bool:
        """Whether the name means the lungs, a lung or a part of one."""
        return not self.organ


def region_part(name: str) -> RegionPart:
    """The side, the height and the organ of a region's name.

    A name that says nothing of all this, such as a plain label, is its own organ.
    """
    if code := CODE.fullmatch(name.strip()):
        first, second = code.group(1).lower(), code.group(2).upper()
        return RegionPart(SIDES[first], CODE_HEIGHTS[second])
    words = words_of(name)
    sides: list[Side] = [SIDES[word] for word in words if word in SIDES]
    heights: list[Height] = [HEIGHTS[word] for word in words if word in HEIGHTS]
    side: Side = sides[0] if sides else ""
    height: Height = heights[0] if heights else ""
    other = [word for word in words if word not in SIDES and word not in HEIGHTS and word not in FILLING_WORDS]
    organ = " ".join(word for word in other if word not in LUNG_WORDS)
    nothing_said = not side and not height and not other
    return RegionPart(side, height, name if nothing_said else organ)


def words_of(name: str) -> list[str]:
    """Lower-case words of a name, also of `LeftUpperLobe` and `lung_upper_lobe_left`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[a-z]+|\d+", spaced.lower())
