import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from weakmask.errors import UserError
from weakmask.volume.section_folder import is_section_folder, natural_order, open_sections, open_tile_list

VOXELS = np.random.default_rng(0).integers(0, 256, (12, 20, 30)).astype(np.uint8)


def folder_of(folder: Path, voxels: np.ndarray = VOXELS, name: str = "s{}.png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, section in enumerate(voxels):
        Image.fromarray(section).save(folder / name.format(number))
    return folder


def test_sections_are_in_the_order_of_their_numbers(tmp_path: Path):
    stack = open_sections(folder_of(tmp_path))
    assert (stack.shape, stack.dtype, stack.spacing_nm) == (VOXELS.shape, np.uint8, None)
    assert np.array_equal(stack[:], VOXELS)
    assert np.array_equal(stack[8:12, 3:9, 20:], VOXELS[8:12, 3:9, 20:])
    names = ["a10.png", "a9.png", "a09.png", "b1.png", "a9b.png"]
    assert [path.name for path in sorted(map(Path, names), key=natural_order)] == [
        "a09.png", "a9.png", "a9b.png", "a10.png", "b1.png",
    ]  # fmt: skip


def test_one_bit_sections_among_others_are_0_and_255(tmp_path: Path):
    """Section 1 of three is 1-bit, as 01, 07 and 18 of em_drosophila_vnc are; as 0 and 1 it would be black."""
    mask = VOXELS[:3] > 128
    folder_of(tmp_path, 255 * mask.astype(np.uint8))
    Image.fromarray(mask[1]).save(tmp_path / "s1.png")
    with Image.open(tmp_path / "s1.png") as image:
        assert image.mode == "1"
    for kind in ("image", "label"):
        assert np.array_equal(open_sections(tmp_path, kind)[:], 255 * mask)


def test_palettes_are_numbers_in_a_label_map(tmp_path: Path):
    for number, section in enumerate(VOXELS[:2] % 5):
        picture = Image.fromarray(section).convert("P")
        picture.putdata(section.ravel().tolist())
        picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
        picture.save(tmp_path / f"{number}.png")
    assert np.array_equal(open_sections(tmp_path, "label")[:], VOXELS[:2] % 5)
    grey = np.array([0, 76, 150, 29, 9])
    assert np.array_equal(open_sections(tmp_path)[:], grey[VOXELS[:2] % 5])


def test_sections_in_tiff(tmp_path: Path):
    for number, section in enumerate(VOXELS):
        tifffile.imwrite(tmp_path / f"{number}.tif", section.astype(np.uint32) * 1000)
    assert np.array_equal(open_sections(tmp_path, "label")[9:], VOXELS[9:].astype(np.uint32) * 1000)
    tifffile.imwrite(tmp_path / "3.tif", VOXELS[:2].astype(np.uint32))
    with pytest.raises(UserError, match=r"3\.tif: a stack of 2 sections"):
        open_sections(tmp_path, "label")[:]


def test_what_is_a_folder_of_sections(tmp_path: Path):
    assert is_section_folder(folder_of(tmp_path / "a"))
    (tmp_path / "a" / "notes.txt").touch()
    assert is_section_folder(tmp_path / "a")
    folder_of(tmp_path / "a", VOXELS[:1], "other.png")
    assert not is_section_folder(tmp_path / "a")
    assert not is_section_folder(folder_of(tmp_path / "one", VOXELS[:1]))
    folder_of(tmp_path / "b", VOXELS[:1], "left.png")
    assert not is_section_folder(folder_of(tmp_path / "b", VOXELS[:1], "right.png"))
    assert not is_section_folder(tmp_path / "missing")


def test_sections_that_differ_are_refused(tmp_path: Path):
    folder_of(tmp_path)
    Image.fromarray(VOXELS[0, :10]).save(tmp_path / "s7.png")
    with pytest.raises(UserError, match=r"s7\.png: \(10, 30\) pixels; expected \(20, 30\)"):
        open_sections(tmp_path)
    Image.fromarray(VOXELS[0].astype(np.uint16)).save(tmp_path / "s7.png")
    with pytest.raises(UserError, match=r"s7\.png: .* of uint16; expected .* of uint8"):
        open_sections(tmp_path)[:]
    (tmp_path / "s7.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UserError, match=r"s7\.png"):
        open_sections(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no sections"):
        open_sections(tmp_path / "empty")


def tile_list(folder: Path, **changes: object) -> Path:
    """MitoEM's list: paths relative to it."""
    names = [f"im/im{number:04}.png" for number in range(len(VOXELS))]
    notes = {
        "image": names, "depth": 12, "height": 20, "width": 30, "tile_size": 4096, "tile_ratio": 1, "tile_st": [0, 0],
        "ndim": 1, "dtype": "uint8",
    }  # fmt: skip
    (folder / "im.json").write_text(json.dumps(notes | changes))
    return folder / "im.json"


def test_the_list_of_mitoem(tmp_path: Path):
    folder_of(tmp_path / "im", VOXELS, "im{:04}.png")
    stack = open_tile_list(tile_list(tmp_path))
    assert np.array_equal(stack[2:4, 5:], VOXELS[2:4, 5:])
    assert stack.spacing_nm is None


def test_sections_in_tiles(tmp_path: Path):
    for z, section in enumerate(VOXELS):
        for row in range(3):
            for column in range(4):
                tile = section[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
                folder_of(tmp_path / "im", tile[None], f"{z}_{row + 1}_{column}.png")
    names = [f"im/{z}_{{row}}_{{column}}.png" for z in range(12)]
    stack = open_tile_list(tile_list(tmp_path, image=names, tile_size=8, tile_st=[1, 0]))
    assert np.array_equal(stack[:], VOXELS)
    assert np.array_equal(stack[3:5, 7:17, 15:17], VOXELS[3:5, 7:17, 15:17])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tile_ratio": 0.5}, "tiles are not scaled"),
        ({"depth": 3}, "12 sections and a grid"),
        ({"height": 21}, r"its grid is \(12, 21, 30\)"),
        ({"image": ["../x.png"] * 12}, "expected a file beside it"),
        ({"image": ["im/{row.__class__}.png"] * 12}, "not beside it"),
        ({"tile_size": 0, "image": ["im/{row}.png"] * 12}, "tile_size is 0"),
        ({"depth": "many"}, "unknown form"),
    ],
)
def test_faulty_lists_are_refused(changes: dict[str, object], message: str, tmp_path: Path):
    folder_of(tmp_path / "im", VOXELS, "im{:04}.png")
    with pytest.raises(UserError, match=message):
        open_tile_list(tile_list(tmp_path, **changes))


def test_other_json_is_refused(tmp_path: Path):
    for text in ("{}", "[1]", "{", '{"image": []}'):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(UserError, match=r"a\.json: "):
            open_tile_list(tmp_path / "a.json")


@pytest.mark.real_data
def test_the_masks_of_the_ventral_nerve_cord(real_data: Callable[[str], Path]):
    """Sections 01, 07 and 18 are 1-bit: read as 0 and 1 and cut at 127, 48 mitochondria become 101 pieces."""
    stack = open_sections(real_data("em_drosophila_vnc") / "mitochondria", "label")
    mask = stack[:] != 0
    assert mask.mean() == pytest.approx(0.0539, abs=1e-4)
    assert ndimage.label(mask)[1] == 48
    assert all(mask[section].any() for section in (1, 7, 18))
