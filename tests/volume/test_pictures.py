import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image, ImageOps

from weakmask.errors import UserError
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.pictures import read_rgb
from weakmask.volume.volume import Volume

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30)).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_is_one_slice_of_1_mm(tmp_path, dtype):
    picture = sitk.GetImageFromArray(PIXELS.astype(dtype) * (1 if dtype == np.uint8 else 200))
    picture.SetSpacing((0.3, 0.3))  # ends up in the file as dots per metre
    sitk.WriteImage(picture, tmp_path / "a.png")
    volume = read_volume(tmp_path / "a.png")
    assert volume.geometry == Geometry((1, 20, 30))
    assert volume.voxels.dtype == dtype
    assert np.array_equal(volume.voxels[0], sitk.GetArrayFromImage(picture))


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG"])
def test_jpeg(tmp_path, name):
    smooth = np.add.outer(np.arange(20), np.arange(30)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(smooth), tmp_path / "x.jpg")
    (tmp_path / "x.jpg").rename(tmp_path / name)
    voxels = read_volume(tmp_path / name).voxels
    assert voxels.shape == (1, 20, 30)
    assert np.abs(voxels[0].astype(int) - smooth).max() <= 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_colour_becomes_grey(tmp_path, channels, dtype):
    pixels = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (20, 30, channels)).astype(dtype)
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), tmp_path / "a.png")
    r, g, b = (pixels[:, :, i].astype(float) for i in range(3))
    voxels = read_volume(tmp_path / "a.png").voxels
    assert voxels.dtype == dtype
    assert np.abs(voxels[0] - (0.299 * r + 0.587 * g + 0.114 * b)).max() <= 0.5 + 1e-6


def test_grey_in_three_channels_is_unchanged(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.stack([PIXELS] * 3, -1), isVector=True), tmp_path / "a.png")
    assert np.array_equal(read_volume(tmp_path / "a.png").voxels[0], PIXELS)


def test_refuses_colour_labels_and_grey_with_transparency(tmp_path):
    pixels = np.stack([PIXELS] * 3, -1)
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), tmp_path / "a.png")
    sitk.WriteImage(sitk.GetImageFromArray(pixels[:, :, :2], isVector=True), tmp_path / "b.png")
    with pytest.raises(UserError, match=r"a.png: a label map in colour"):
        read_volume(tmp_path / "a.png", "label")
    with pytest.raises(UserError, match=r"b.png: .*save it without the alpha channel"):
        read_volume(tmp_path / "b.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_colour_stays_colour_where_it_is_asked_for(tmp_path, channels, dtype):
    pixels = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (20, 30, channels)).astype(dtype)
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), tmp_path / "a.png")
    colour, grid = read_rgb(tmp_path / "a.png")
    assert colour.dtype == dtype
    assert np.array_equal(colour, np.moveaxis(pixels[:, :, :3], 2, 0))
    assert grid == read_volume(tmp_path / "a.png").geometry == Geometry((1, 20, 30))


def test_a_grey_picture_has_three_equal_channels(tmp_path):
    for name in ("a.png", "a.jpg"):
        sitk.WriteImage(sitk.GetImageFromArray(PIXELS), tmp_path / name)
        colour, _ = read_rgb(tmp_path / name)
        assert colour.shape == (3, 20, 30)
        assert np.array_equal(colour, np.repeat(read_volume(tmp_path / name).voxels, 3, axis=0))
    with pytest.raises(UserError, match=r"a\.nii\.gz: not a picture; expected one of \.png"):
        read_rgb(tmp_path / "a.nii.gz")


def test_a_photograph_lies_as_a_viewer_shows_it(tmp_path):
    smooth = np.stack([np.add.outer(np.arange(40) * 4, np.arange(60)).astype(np.uint8)] * 3, -1)
    smooth[:, :, 1] //= 2
    picture = Image.fromarray(smooth)
    picture.save(tmp_path / "plain.jpg", quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    picture.save(tmp_path / "turned.jpg", quality=95, exif=exif)
    plain, turned = (read_rgb(tmp_path / f"{name}.jpg")[0] for name in ("plain", "turned"))
    assert turned.shape == (3, 60, 40)
    assert np.array_equal(turned, np.rot90(plain, -1, axes=(1, 2)))
    grey = read_volume(tmp_path / "turned.jpg")
    assert grey.geometry.shape == (1, 60, 40)  # a mask drawn on it fits both


@pytest.mark.parametrize("thumbnail", [b"", b"\xff\xe1\x00\x06\xff\xd8\xff\xd9"])
def test_refuses_a_truncated_jpeg(tmp_path, thumbnail):
    """The end of a thumbnail in the tables is not the picture's."""
    sitk.WriteImage(sitk.GetImageFromArray(PIXELS), tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    data = data[:2] + thumbnail + data[2:]
    (tmp_path / "whole.jpg").write_bytes(data)
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) * 2 // 3])
    assert read_volume(tmp_path / "whole.jpg").voxels.shape == (1, 20, 30)
    with pytest.raises(UserError, match=r"cut.jpg: the picture is truncated or damaged"):
        read_volume(tmp_path / "cut.jpg")


def test_a_damaged_jpeg_is_not_talked_about(tmp_path, capfd):
    """libjpeg comments on damage that it can live with; what cannot be read is one line, ours."""
    sitk.WriteImage(sitk.GetImageFromArray(PIXELS), tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    outcomes = set()
    for place in range(20, len(data) - 20, 20):
        wrong = bytearray(data)
        wrong[place : place + 3] = b"\xff\x00\xa7"
        (tmp_path / "b.jpg").write_bytes(wrong)
        try:
            outcomes.add(read_volume(tmp_path / "b.jpg").voxels.shape)
        except UserError as error:
            outcomes.add(str(error).count("\n"))
    assert outcomes == {(1, 20, 30), 0}
    assert capfd.readouterr() == ("", "")


def test_jpeg_in_printing_colours(tmp_path):
    Image.fromarray(np.stack([PIXELS] * 4, -1), "CMYK").save(tmp_path / "a.jpg")
    assert read_volume(tmp_path / "a.jpg").voxels.shape == (1, 20, 30)


def test_a_palette_keeps_its_numbers_in_labels(tmp_path):
    picture = Image.fromarray(PIXELS % 21)
    picture.putpalette([(7 * n) % 256 for n in range(768)])
    picture.save(tmp_path / "a.png")
    assert np.array_equal(read_volume(tmp_path / "a.png", "label").voxels[0], PIXELS % 21)
    assert not np.array_equal(read_volume(tmp_path / "a.png").voxels[0], PIXELS % 21)


def test_masks_out_are_for_the_eye_and_labels_as_they_are(tmp_path):
    mask = Volume(PIXELS[None] > 99, Geometry((1, 20, 30)), "label")
    write_volume(mask, tmp_path / "mask.png")
    write_volume(mask.with_voxels((PIXELS[None] % 6).astype(np.int64)), tmp_path / "labels.png")
    write_volume(mask.with_voxels(PIXELS[None].astype(np.int32) + 1000), tmp_path / "many.png")
    read = {name: read_volume(tmp_path / f"{name}.png", "label").voxels for name in ("mask", "labels", "many")}
    assert np.array_equal(read["mask"], np.where(mask.voxels, 255, 0))
    assert np.array_equal(read["labels"][0], PIXELS % 6)
    assert read["labels"].dtype == np.uint8
    assert np.array_equal(read["many"][0], PIXELS.astype(int) + 1000)
    assert read["many"].dtype == np.uint16


@pytest.mark.parametrize(
    ("voxels", "message"),
    [
        (np.zeros((2, 3, 4), np.uint8), "holds one slice, the volume has 2"),
        (np.full((1, 3, 4), -1, np.int16), "whole numbers from 0 to 65535"),
        (np.full((1, 3, 4), 70000, np.int32), "whole numbers from 0 to 65535"),
        (np.full((1, 3, 4), 0.5, np.float32), "whole numbers from 0 to 65535"),
    ],
)
def test_refuses_to_write_what_png_cannot_hold(tmp_path, voxels, message):
    with pytest.raises(UserError, match=message):
        write_volume(Volume(voxels, Geometry(voxels.shape)), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.real_data
def test_pictures(real_data):
    folder = real_data("covid_semiseg") / "train_expert"
    image, mask = read_volume(folder / "images" / "0.jpg"), read_volume(folder / "masks" / "0.png", "label")
    assert image.geometry == mask.geometry
    assert len(np.unique(mask.voxels)) < 10
    xray = read_volume(real_data("chest_xray") / "images" / "tb0005.png")
    assert xray.voxels.shape == (1, 512, 512)


@pytest.mark.real_data
def test_voc_labels(real_data):
    for path in sorted((real_data("voc2012_sample") / "SegmentationClass").glob("*.png")):
        labels = read_volume(path, "label").voxels
        assert set(np.unique(labels)) <= {*range(21), 255}  # 255: not to be counted
        assert labels.shape == read_volume(path.parents[1] / "JPEGImages" / f"{path.stem}.jpg").voxels.shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_png_is_turned_as_its_exif_says(tmp_path, orientation, mode):
    """A mask drawn on the picture in a viewer would not fit otherwise."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6) if mode == "L" else (4, 6, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        shown = ImageOps.exif_transpose(image)
        expected = np.asarray(shown.convert("RGB"))
    assert np.array_equal(np.moveaxis(read_rgb(tmp_path / "a.png")[0], 0, -1), expected)
    if mode == "L":
        assert np.array_equal(read_volume(tmp_path / "a.png", "label").voxels[0], expected[..., 0])


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_picture_of_too_many_pixels(tmp_path, suffix, monkeypatch):
    Image.new("L", (600, 400)).save(tmp_path / f"a{suffix}")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200_000)
    monkeypatch.setattr("weakmask.volume.file_faults._MOST_PNG", 200_000)
    with pytest.raises(UserError, match=r"more than 200000 pixels; scale|240000; expected at most"):
        read_volume(tmp_path / f"a{suffix}")
