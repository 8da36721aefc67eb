"""DICOM objects of results: valid, read back voxel by voxel by other tools, and the same each time."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from enhanced_ct import write_enhanced

from weakmask.errors import UserError
from weakmask.inference.statistics import region_statistics
from weakmask.pacs.result_objects import ResultForPacs, write_objects
from weakmask.pacs.segmentation_object import ObjectIdentity
from weakmask.pacs.source_series import read_source
from weakmask.prediction import Prediction, Value
from weakmask.progress import collected_notes
from weakmask.volume.dicom_segmentation import read_segmentation
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume

IDENTITY = ObjectIdentity("digest", "dRAM", "20240103", "120000")
NAMES = {1: "LUL", 2: "LLL", 3: "RUL", 4: "RML", 5: "RLL"}
TURN = np.deg2rad(12)
OBLIQUE = ((1.0, 0.0, 0.0), (0.0, np.cos(TURN), -np.sin(TURN)), (0.0, np.sin(TURN), np.cos(TURN)))
GEOMETRIES = {
    "axial": Geometry((9, 14, 16), (2.5, 0.7, 0.7), (-100.0, -80.0, -60.0)),
    "flipped": Geometry((9, 14, 16), (2.5, 0.7, 0.8), (-100.0, -80.0, -60.0)).flipped(0).flipped(2),
    "oblique": Geometry((9, 14, 16), (2.5, 0.7, 0.7), (-100.0, -80.0, -60.0), OBLIQUE),
    "rounded": Geometry((9, 14, 16), (1.0 / 3, 0.703125, 0.703125), (-100.0 / 3, -80.0, -60.0)),
    "slice": Geometry((1, 14, 16), (2.5, 0.7, 0.7)),
}
Errors = Callable[[Path], list[str]]


def made(geometry: Geometry, *, lesions: bool = True) -> tuple[Volume, ResultForPacs]:
    """An image, and a result with lesions in three lobes."""
    rng = np.random.default_rng(0)
    regions = np.zeros(geometry.shape, np.uint8)
    for label in NAMES:
        regions[:, 2:12, 3 * label - 2 : 3 * label] = label
    mask = ((regions % 2 == 1) & (rng.random(geometry.shape) < 0.3) & lesions).astype(np.uint8)
    image = Volume(rng.normal(-800, 50, geometry.shape).astype(np.int16), geometry)
    layers = Volume(mask, geometry, "label"), Volume(regions, geometry, "label")
    values = tuple(Value("region", name, "fraction", 0.1, score=2) for name in NAMES.values())
    statistics = region_statistics(image, Prediction(layers[0], {}, layers[1], values), NAMES, hounsfield=True)
    picture = np.full((40, 90, 3), 90, np.uint8)
    return image, ResultForPacs(layers[0], {1: "lesion"}, layers[1], NAMES, statistics, picture)


@pytest.mark.parametrize("kind", GEOMETRIES)
def test_objects_are_valid_and_every_voxel_comes_back(
    kind: str, tmp_path: Path, write_scan: Callable[..., Path], errors_of: Errors
) -> None:
    image, result = made(GEOMETRIES[kind])
    source = read_source(write_scan(tmp_path / "ct", image, decimals=3 if kind == "rounded" else 9))
    files = write_objects(tmp_path / "out", result, source, IDENTITY)
    assert files == ["lesions.dcm", "regions.dcm", "scores.dcm", "picture.dcm"]
    for file in files:
        assert errors_of(tmp_path / "out" / file) == [], file
    if kind == "slice":
        return
    grid = read_volume(tmp_path / "ct").geometry
    for file, layer in (("lesions.dcm", result.mask), ("regions.dcm", result.regions)):
        back = resample_onto(read_segmentation(tmp_path / "out" / file), grid)
        assert layer is not None
        assert np.array_equal(back.voxels, source.on_grid(replace(layer, geometry=image.geometry), "mask").voxels)


def test_a_scan_without_lesions_has_no_empty_segmentation_and_a_report_of_zeros(
    tmp_path: Path, write_scan: Callable[..., Path], errors_of: Errors
) -> None:
    image, result = made(GEOMETRIES["axial"], lesions=False)
    source = read_source(write_scan(tmp_path / "ct", image))
    assert write_objects(tmp_path / "out", result, source, IDENTITY) == ["regions.dcm", "scores.dcm", "picture.dcm"]
    assert errors_of(tmp_path / "out" / "scores.dcm") == []
    values = [one for one in numbers(tmp_path / "out" / "scores.dcm") if one[0] == "Volume of lesions"]
    assert values == [("Volume of lesions", 0.0)] * 6


def numbers(file: Path) -> list[tuple[str, float]]:
    """Name and value of every number in a report."""
    found: list[tuple[str, float]] = []

    def walk(item: pydicom.Dataset) -> None:
        if item.get("ValueType") == "NUM":
            value = float(item.MeasuredValueSequence[0].NumericValue)
            found.append((str(item.ConceptNameCodeSequence[0].CodeMeaning), value))
        for child in item.get("ContentSequence", ()):
            walk(child)

    walk(pydicom.dcmread(file))
    return found


def tool(name: str, *words: object) -> None:
    """Run a tool of dcmqi."""
    program = Path(sys.executable).with_name(name)
    ran = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_dcmqi_reads_every_voxel_and_every_number(tmp_path: Path, write_scan: Callable[..., Path]) -> None:
    image, result = made(GEOMETRIES["axial"])
    source = read_source(write_scan(tmp_path / "ct", image))
    write_objects(tmp_path / "out", result, source, IDENTITY)
    (tmp_path / "back").mkdir()
    tool(
        "segimage2itkimage", "--mergeSegments", "-t", "nifti", "-p", "r", "--inputDICOM", tmp_path / "out/regions.dcm",
        "--outputDirectory", tmp_path / "back",
    )  # fmt: skip
    (merged,) = (tmp_path / "back").glob("r*.nii.gz")
    back = resample_onto(read_volume(merged, "label"), image.geometry)
    assert result.regions is not None
    assert np.array_equal(back.voxels, result.regions.voxels)
    described = json.loads((tmp_path / "back" / "r-meta.json").read_text(encoding="utf-8"))
    segments = [segment for group in described["segmentAttributes"] for segment in group]
    assert [segment["SegmentLabel"] for segment in segments] == list(NAMES.values())
    assert segments[0]["SegmentedPropertyTypeModifierCodeSequence"]["CodeMeaning"] == "Left"
    report = tmp_path / "back" / "scores.json"
    tool("tid1500reader", "--inputDICOM", tmp_path / "out/scores.dcm", "--outputMetadata", report)
    groups = json.loads(report.read_text(encoding="utf-8"))["Measurements"]
    for group, row in zip(groups, result.statistics, strict=False):
        values = {item["quantity"]["CodeMeaning"]: float(item["value"]) for item in group["measurementItems"]}
        assert group["TrackingIdentifier"] == row["region"]
        assert values["Volume of lesions"] == pytest.approx(row["lesion_ml"])
        assert values["Severity score"] == row["score"]


def test_the_same_result_makes_the_same_bytes_and_another_result_other_uids(
    tmp_path: Path, write_scan: Callable[..., Path]
) -> None:
    image, result = made(GEOMETRIES["axial"])
    source = read_source(write_scan(tmp_path / "ct", image))
    for name, identity in (("a", IDENTITY), ("b", IDENTITY), ("c", replace(IDENTITY, digest="another"))):
        write_objects(tmp_path / name, result, source, identity)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name
        ours, other = (pydicom.dcmread(tmp_path / name / file.name).SOPInstanceUID for name in ("a", "c"))
        assert ours != other


def test_a_tilted_gantry_is_read_with_a_note_and_its_mask_lies_on_the_slices(
    tmp_path: Path, write_scan: Callable[..., Path], errors_of: Errors
) -> None:
    geometry = Geometry((9, 24, 26), (2.5, 0.7, 0.7), (-100.0, -80.0, -60.0))
    voxels = np.full(geometry.shape, -900, np.int16)
    for place in range(9):
        voxels[place, 4 + place : 12 + place, 8:16] = 50  # a rod that stands upright leans in the slices
    folder = write_scan(tmp_path / "ct", Volume(voxels, geometry))
    for place, file in enumerate(sorted(folder.iterdir())):
        data = pydicom.dcmread(file)
        data.ImagePositionPatient = [-60.0, -80.0 - 0.7 * place, -100.0 + 2.5 * place]
        data.save_as(file)
    with collected_notes() as notes:
        image = read_volume(folder)
    assert "the gantry was tilted by 15.6 degrees; slices are moved to a rectangular grid" in notes[0]
    rod = image.voxels > 0
    assert all(np.array_equal(rod[0], one) for one in rod)
    assert np.argwhere(rod).min(axis=0)[1] == 4 + 8  # the first slice lies 8 pixels below the upper edge of the grid
    source = read_source(folder)
    mask = image.with_voxels(rod.astype(np.uint8), "label")
    result = ResultForPacs(mask, {1: "lesion"}, None, {}, [], None)
    write_objects(tmp_path / "out", result, source, IDENTITY)
    assert errors_of(tmp_path / "out" / "lesions.dcm") == []
    made = highdicom.seg.segread(tmp_path / "out" / "lesions.dcm")
    frames = made.get_pixels_by_source_instance([str(one.SOPInstanceUID) for one in source.images])[..., 0]
    assert np.array_equal(frames > 0, voxels > 0)


@pytest.mark.parametrize("part", [None, "time 2"])
def test_frames_of_enhanced_ct_are_referred_to_by_their_numbers(
    part: str | None, tmp_path: Path, errors_of: Errors
) -> None:
    image, result = made(GEOMETRIES["oblique"])
    times = {"TemporalPositionIndex": [1, 2]} if part else None
    file = write_enhanced(tmp_path / "ct.dcm", image, parts=times)
    source = read_source(file, part)
    files = write_objects(tmp_path / "out", result, source, IDENTITY)
    for name in files:
        assert errors_of(tmp_path / "out" / name) == [], name
    assert result.regions is not None
    scan, segments = pydicom.dcmread(file), highdicom.seg.segread(tmp_path / "out" / "regions.dcm")
    for frame, pixels in zip(segments.PerFrameFunctionalGroupsSequence, segments.pixel_array, strict=True):
        number = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        place = scan.PerFrameFunctionalGroupsSequence[number - 1]
        if part:
            assert place.FrameContentSequence[0].TemporalPositionIndex == 2
        position = np.array(place.PlanePositionSequence[0].ImagePositionPatient, float)
        away = np.linalg.norm(
            [source.geometry.affine[2::-1, 3] + k * source.geometry.affine[2::-1, 0] - position for k in range(9)],
            axis=1,
        )
        label = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        assert np.array_equal(pixels > 0, result.regions.voxels[away.argmin()] == label)


def test_frames_in_several_files_are_refused(tmp_path: Path) -> None:
    image, _ = made(GEOMETRIES["axial"])
    half = image.crop(Box((0, 0, 0), (4, 14, 16))), image.crop(Box((4, 0, 0), (9, 14, 16)))
    for number, part in enumerate(half):
        write_enhanced(tmp_path / f"{number}", part, SOPInstanceUID=f"1.2.{number}")
    with pytest.raises(UserError, match=r"frames in several files.* cannot be referred to"):
        read_source(tmp_path)


def test_the_small_form_holds_the_same_labels(tmp_path: Path, write_scan: Callable[..., Path]) -> None:
    image, result = made(GEOMETRIES["flipped"])
    source = read_source(write_scan(tmp_path / "ct", image))
    write_objects(tmp_path / "bits", result, source, IDENTITY)
    write_objects(tmp_path / "small", result, source, IDENTITY, labelmap=True)
    bits, small = (read_segmentation(tmp_path / form / "regions.dcm").voxels for form in ("bits", "small"))
    assert np.array_equal(bits, small)
    ours, other = (pydicom.dcmread(tmp_path / form / "regions.dcm").SOPClassUID for form in ("bits", "small"))
    assert ours != other


def test_masks_of_another_grid_and_images_without_a_place_are_refused(
    tmp_path: Path, write_scan: Callable[..., Path]
) -> None:
    image, result = made(GEOMETRIES["axial"])
    source = read_source(write_scan(tmp_path / "ct", image))
    other = result.mask.crop(Box((1, 0, 0), image.geometry.shape))
    with pytest.raises(UserError, match="is not that of the DICOM images"):
        source.on_grid(other, "mask")
    write_scan(tmp_path / "nowhere", image, ImageOrientationPatient=None)
    with pytest.raises(UserError, match="has no ImageOrientationPatient, which DICOM objects refer to"):
        read_source(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no DICOM images"):
        read_source(tmp_path / "empty")
