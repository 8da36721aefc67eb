"""The prepared pictures as trainings read them: from their files, batch by batch, balanced and augmented."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor

from weakmask.csv_table import read_csv
from weakmask.datasets.augment import apply_intensity, apply_moves, blurred, draw_intensity, draw_move
from weakmask.methods.wsmis.config import AugmentationSettings
from weakmask.training.sampling import balanced_batch

INDEX = "index.csv"
CLASS = "class: "  # in front of a class's name in the table


@dataclass(frozen=True)
class PictureSet:
    """Prepared pictures and their classes.

    Attributes:
        folder: Of the prepare stage.
        table: A row per picture.
        colours: Channels of a batch: 1 if every picture is grey, else 3.
    """

    folder: Path
    table: pd.DataFrame
    colours: int

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.table)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of labels.csv."""
        return tuple(name.removeprefix(CLASS) for name in self.table.columns if name.startswith(CLASS))

    @property
    def files(self) -> list[str]:
        """The name of each picture's files, in this stage and later ones."""
        return self.table["file"].tolist()

    @cached_property
    def presence(self) -> Float[np.ndarray, "picture class"]:
        """1, 0, or NaN where a class is unknown."""
        return self.table[[f"{CLASS}{name}" for name in self.classes]].to_numpy(np.float32, copy=True)

    def of(self, *splits: str) -> "PictureSet":
        """The pictures of some splits: training, validation, test."""
        return replace(self, table=self.table[self.table["split"].isin(splits)].reset_index(drop=True))

    def images(self, rows: Sequence[int]) -> Float[Tensor, "row colour side side"]:
        """Pictures in [0, 1]."""
        read = [read_picture(self.folder / "pictures" / self.files[row]) for row in rows]
        return torch.stack([torch.from_numpy(one).expand(self.colours, -1, -1) for one in read]).float() / 255

    def image(self, row: int) -> Float[Tensor, "1 colour side side"]:
        """One picture in [0, 255] with its own channels, for a CRF."""
        return torch.from_numpy(read_picture(self.folder / "pictures" / self.files[row]))[None].float()

    def balanced(self, batch: int, seed: int, step: int, *, halves: bool = False) -> list[int]:
        """Pictures of one step, drawn equally often from each combination of classes, that of none included.

        Args:
            batch: Number of pictures.
            seed: Of the run.
            step: Of the training.
            halves: Whether half of the pictures have no class, and the others are balanced among themselves.
        """
        known = np.nan_to_num(self.presence, nan=2.0)
        _, combinations = np.unique(known, axis=0, return_inverse=True)
        combinations = combinations.ravel()
        if not halves:
            return balanced_batch(combinations.tolist(), batch, seed, step)
        drawn = []
        empty = (known == 0).all(axis=1)
        for rows, share in ((np.flatnonzero(~empty), batch - batch // 2), (np.flatnonzero(empty), batch // 2)):
            drawn += rows[balanced_batch(combinations[rows].tolist(), share, seed, step)].tolist() if share else []
        return drawn


def read_pictures(prepared: Path) -> PictureSet:
    """The pictures of a finished prepare stage."""
    table = read_csv(prepared / INDEX)
    return PictureSet(prepared, table, max(table["colours"].tolist()))


def known_presence(pictures: PictureSet, probabilities: pd.DataFrame) -> Float[np.ndarray, "picture class"]:
    """The classes of pictures as 0 and 1; an unknown one is present where the classifier finds it probable.

    Args:
        pictures: The pictures.
        probabilities: The table that the classification leaves.
    """
    found = probabilities.set_index("file").loc[pictures.files, list(pictures.table.filter(like=CLASS).columns)]
    return np.where(np.isnan(pictures.presence), found.to_numpy() >= 0.5, pictures.presence).astype(np.float32)


def read_picture(path: Path) -> UInt8[np.ndarray, "colour side side"]:
    """A picture of this method's stages."""
    with Image.open(path) as image:
        pixels = np.asarray(image)
    return np.array(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def read_labels(path: Path) -> UInt8[np.ndarray, "side side"]:
    """Labels of this method's stages."""
    return read_picture(path)[0]


def write_picture(path: Path, picture: UInt8[np.ndarray, "colour side side"]) -> None:
    """Write a picture of one or three channels as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)


def augmented(
    images: Float[Tensor, "row colour side side"],
    labels: Int[Tensor, "row side side"] | None,
    settings: AugmentationSettings,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "row colour side side"], Int[Tensor, "row side side"] | None]:
    """Pictures with random changes; their labels move with them. From beyond the border comes the mirrored picture.

    Args:
        images: In [0, 1].
        labels: Labels of the pixels; None: there are none.
        settings: The ranges.
        generator: Source of all draws.
    """
    moves = []
    for _ in range(len(images)):
        move = draw_move(generator, 2, settings.scales, settings.angle_degrees, flips=False, quarter_turns=False)
        flip = settings.mirror and float(torch.rand(1, generator=generator)) < 0.5
        moves.append(replace(move, flips=(False, flip)))
    images = apply_moves(images, moves, beyond="reflection")
    gains = (1 - settings.contrast, 1 + settings.contrast)
    change = draw_intensity(generator, len(images), (1.0, 1.0), gains, settings.brightness, largest_noise=0.0)
    images = apply_intensity(images, change)
    sigmas = settings.blur * torch.rand(len(images), generator=generator)
    images = blurred(images, sigmas * (torch.rand(len(images), generator=generator) < 0.5))
    if labels is None:
        return images, None
    moved = apply_moves(labels[:, None].float(), moves, "nearest", "reflection")
    return images, moved[:, 0].round().long()
