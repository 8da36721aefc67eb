"""The public data sets by name: what each holds, where it is, and its reader."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

from weakmask.datasets.case import Cohort
from weakmask.datasets.covid_cxr import read_covid_cxr
from weakmask.datasets.covid_semiseg import cohort_of, read_covid_semiseg
from weakmask.datasets.labelled_pictures import read_busi, read_pets
from weakmask.datasets.public.ct_seg_20 import read_ct_seg_20
from weakmask.datasets.public.decathlon import read_decathlon
from weakmask.datasets.public.mitoem import read_mitoem
from weakmask.datasets.public.mosmed import read_mosmed
from weakmask.datasets.public.published import ALL, Published
from weakmask.datasets.public.stoic import read_stoic
from weakmask.datasets.siim_acr import read_siim_acr
from weakmask.datasets.voc import read_voc
from weakmask.errors import UserError
from weakmask.yaml_text import read_yaml_file

TABLE = Path(__file__).with_name("sets.yaml")
OPEN_PARTS = ("decathlon",)  # sets whose files name the parts
Reader = Callable[[Path, str], Published]


@dataclass(frozen=True)
class PublicSet:
    """A public data set, as sets.yaml describes it.

    Attributes:
        title: Its content in one line.
        source: Where it is.
        licence: As stated there.
        cite: Its paper.
        layout: Its files, as they are published.
        cohort: Labels and masks of the cohort.
        parts: Name of a part -> what it is; besides, there is the whole.
    """

    title: str
    source: str
    licence: str
    cite: str
    layout: tuple[str, ...]
    cohort: str
    parts: Mapping[str, str] = field(default_factory=dict)


@lru_cache(maxsize=1)
def public_sets() -> Mapping[str, PublicSet]:
    """All data sets by name."""
    content = read_yaml_file(TABLE)
    return {name: PublicSet(**{**about, "layout": tuple(about["layout"])}) for name, about in content.items()}


def public_set(name: str) -> PublicSet:
    """One data set.

    Raises:
        UserError: An unknown name.
    """
    sets = public_sets()
    if name not in sets:
        raise UserError(f"unknown data set {name!r}; expected one of {', '.join(sets)}")
    return sets[name]


def read_public(name: str, folder: Path, part: str = ALL) -> Published:
    """Read a public data set, or a part of it; pixels are read only where labels are made of them.

    Args:
        name: Of the set.
        folder: Where it was unpacked.
        part: A part that the set knows, or `all`.

    Raises:
        UserError: An unknown set or part, or files that are missing or faulty.
    """
    about = public_set(name)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected the data set, unpacked: {'; '.join(about.layout)}")
    known = [ALL, *about.parts]
    if part not in known and name not in OPEN_PARTS:
        raise UserError(f"{name} has no part {part!r}; expected {', '.join(known)}")
    found = READERS[name](folder, part)
    if not found.cohort.cases:
        raise UserError(f"{folder}: holds nothing of the part {part!r} of {name}")
    return found


def _whole(read: Callable[[Path], Cohort], folder: Path, _: str) -> Published:
    """A set without parts."""
    return Published(read(folder))


def _siim_acr(folder: Path, _: str) -> Published:
    found = read_siim_acr(folder)
    return Published(found.cohort, truth_of=found.truth_of)


def _voc(folder: Path, part: str) -> Published:
    return Published(read_voc(folder, None if part == ALL else part))


def _covid_semiseg(folder: Path, part: str) -> Published:
    found = read_covid_semiseg(folder)
    cases = {"expert": found.expert, "weak": found.weak, ALL: (*found.expert, *found.weak)}[part]
    return Published(cohort_of(folder, cases))


READERS: Mapping[str, Reader] = {
    "mosmed": read_mosmed,
    "covid-ct-seg-20": read_ct_seg_20,
    "stoic2021": read_stoic,
    "siim-acr": _siim_acr,
    "voc2012": _voc,
    "mitoem": read_mitoem,
    "decathlon": read_decathlon,
    "pets": partial(_whole, read_pets),
    "busi": partial(_whole, read_busi),
    "covid-cxr": partial(_whole, read_covid_cxr),
    "covid-semiseg": _covid_semiseg,
}
