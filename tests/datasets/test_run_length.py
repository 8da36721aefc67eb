"""The codec of SIIM-ACR against a loop over pixels, and over the real table."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from weakmask.datasets.run_length import EMPTY, decode, encode, read_run_lengths, united
from weakmask.errors import UserError

CHOOSER = np.random.default_rng(4)


def plain(runs: str, shape: tuple[int, int]) -> np.ndarray:
    """Pixel by pixel down the columns."""
    mask, at = np.zeros(shape, dtype=bool), 0
    numbers = [int(word) for word in runs.split()]
    for gap, length in zip(numbers[::2], numbers[1::2], strict=True):
        at += gap
        for pixel in range(at, at + length):
            mask[pixel % shape[0], pixel // shape[0]] = True
        at += length
    return mask


def test_decoding_is_a_loop_over_the_columns() -> None:
    assert np.array_equal(decode("2 3 4 1", (4, 5)), plain("2 3 4 1", (4, 5)))
    assert decode("1 2", (3, 2)).tolist() == [[False, False], [True, False], [True, False]]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 1.0])
def test_encoding_and_decoding_give_the_mask_back(share: float) -> None:
    mask = CHOOSER.random((9, 14)) < share
    assert np.array_equal(decode(encode(mask), (9, 14)), mask)
    assert (encode(mask) == EMPTY) == (not mask.any())


def test_several_rows_are_one_mask() -> None:
    shape = (4, 4)
    assert np.array_equal(united(["0 2", "8 3", EMPTY], shape), plain("0 2", shape) | plain("8 3", shape))
    assert not united([EMPTY], shape).any()


def test_text_that_is_no_mask_is_refused() -> None:
    for runs, message in (("1 2 3", "3 numbers"), ("-4 2", "least -4"), ("1 x", "invalid literal"), ("9 9", "end at")):
        with pytest.raises(ValueError, match=message):
            decode(runs, (4, 4))


def test_the_table_has_a_list_of_rows_an_image(tmp_path: Path) -> None:
    table = tmp_path / "train-rle.csv"
    table.write_text("ImageId, EncodedPixels\na, -1\nb, 0 2\nb, 8 3\n", encoding="utf-8")
    assert read_run_lengths(table) == {"a": ["-1"], "b": ["0 2", "8 3"]}
    table.write_text("name,mask\n", encoding="utf-8")
    with pytest.raises(UserError, match="columns name, mask; expected ImageId, EncodedPixels"):
        read_run_lengths(table)
    with pytest.raises(UserError, match="cannot be read"):
        read_run_lengths(tmp_path / "nothing.csv")


@pytest.mark.real_data
def test_the_real_table_decodes_and_comes_back_at_2000_masks_a_second(real_data: Callable[[str], Path]) -> None:
    images = read_run_lengths(real_data("chest_xray") / "siim-pneumothorax-train-rle.csv.gz")
    rows = [runs for of in images.values() for runs in of]
    positive = [of for of in images.values() if of != [EMPTY]]
    assert (len(rows), len(images), len(positive)) == (12954, 12047, 2669)
    masks = [runs for runs in rows if runs != EMPTY]  # the others are equal to each other
    assert set(rows) - set(masks) == {EMPTY}
    for runs in (*masks, EMPTY):
        assert encode(decode(runs)) == " ".join(runs.split())
    seconds = []
    for part in (rows[k::20] for k in range(5)):  # the best of several, because other programs run at the same time
        begun = perf_counter()
        for runs in part:
            decode(runs)
        seconds.append((perf_counter() - begun) / len(part))
    assert min(seconds) < 1 / 2000
