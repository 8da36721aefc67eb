"""UIDs of DICOM objects: the same for the same result, so that storing it twice leaves one object."""

import hashlib
import re
from collections.abc import Iterator

from pydicom import Dataset

MAKER = "weakmask"  # the manufacturer of our objects
LONGEST_UID = 64
GENERATED = "1.2.826.0.1.3680043.10.511.3."  # the root of the UIDs that highdicom draws


def is_uid(text: str) -> bool:
    """Whether a text is a UID, and so is safe as the name of a file."""
    return len(text) <= LONGEST_UID and re.fullmatch(r"[0-9]+(\.[0-9]+)*", text, re.ASCII) is not None


def uid_of(*parts: str) -> str:
    """A UID made of a digest of some texts, under the root 2.25 for numbers of 128 bits."""
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def fix_drawn_uids(dataset: Dataset, *parts: str) -> None:
    """Replace the UIDs that highdicom has drawn at random by such as `uid_of` makes, equal ones by equal ones.

    Args:
        dataset: An object before it is written.
        *parts: Texts that identify the object.
    """
    known: dict[str, str] = {}
    for inner in _all_datasets(dataset):
        for element in inner:
            if element.VR == "UI" and str(element.value).startswith(GENERATED):
                drawn = str(element.value)
                known.setdefault(drawn, uid_of(*parts, f"drawn {len(known)}"))
                element.value = known[drawn]


def _all_datasets(dataset: Dataset) -> Iterator[Dataset]:
    """The dataset and all in its sequences, in order."""
    yield dataset
    for element in dataset:
        if element.VR == "SQ":
            for inner in element.value:
                yield from _all_datasets(inner)
