"""Near copies of a picture are one group, whatever their size, format and brightness."""

from pathlib import Path

import numpy as np
from PIL import Image

from weakmask.datasets.near_copies import near_copies


def test_copies_of_other_size_brightness_and_format_are_one_group(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    pictures = [Image.fromarray(chance.integers(0, 255, (6, 7), np.uint8)).resize((90, 70)) for _ in range(3)]
    saved = {
        "b": pictures[0],
        "a": pictures[1],
        "d": pictures[0].resize((60, 50)),
        "c": pictures[2],
        "e": pictures[1].point(lambda grey: 40 + grey // 2),
    }
    images = {name: tmp_path / f"{name}.{'jpg' if name == 'd' else 'png'}" for name in saved}
    for name, picture in saved.items():
        picture.save(images[name])
    assert near_copies(images) == {"b": "b", "a": "a", "d": "b", "c": "c", "e": "a"}
    assert set(near_copies(images, least=-1.01).values()) == {"b"}


def test_pictures_of_one_grey_are_nothing_s_copies(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Image.new("L", (40, 40), 100).save(tmp_path / f"{name}.png")
    images = {name: tmp_path / f"{name}.png" for name in ("one", "two")}
    assert near_copies(images) == {"one": "one", "two": "two"}
    assert near_copies({}) == {}
