"""Images of any kind become square pictures; labels of these go back onto the image; batches are balanced."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from coloured_pictures import write_picture_cohort

from weakmask.errors import UserError
from weakmask.methods.wsmis.classification import ANY, classification
from weakmask.methods.wsmis.config import (
    AugmentationSettings,
    ClassificationSettings,
    DataSettings,
    PrepareSettings,
    WsmisSettings,
)
from weakmask.methods.wsmis.model import _gate
from weakmask.methods.wsmis.picture import averaged, on_grid, picture_of, resized
from weakmask.methods.wsmis.picture_set import CLASS, PictureSet, augmented, known_presence, read_pictures
from weakmask.methods.wsmis.prepare import prepare
from weakmask.pipeline import Work
from weakmask.prediction import Scan
from weakmask.training.seeding import generator_for
from weakmask.volume.volume import Volume


def scan_of(values: np.ndarray, colour: np.ndarray | None = None) -> Scan:
    return Scan("s", Volume.from_array(values, [1.0] * values.ndim), colour=colour)


def test_a_grey_picture_has_one_channel_and_a_coloured_one_three() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    equal, coloured = np.stack([grey] * 3), np.stack([grey, grey + 1, grey])
    assert np.array_equal(picture_of(scan_of(grey, equal), None)[0], grey[None])
    assert np.array_equal(picture_of(scan_of(grey, coloured), None)[0], coloured)


def test_a_slice_of_a_scanner_is_seen_in_its_own_range_or_in_the_given_window() -> None:
    values = np.linspace(-1000, 3000, 1001, dtype=np.float32).reshape(7, 143)
    own, (low, high) = picture_of(scan_of(values), None)
    assert (low, high) == pytest.approx((-980, 2980))
    assert (own.min(), own.max()) == (0, 255)
    given, shown = picture_of(scan_of(values), (0.0, 510.0))
    assert shown == (0.0, 510.0)
    assert given[0, 0, 0] == 0
    assert given[0].reshape(-1)[np.abs(values.reshape(-1) - 200).argmin()] == 100
    flat, _ = picture_of(scan_of(np.full((3, 3), 7, np.int16)), None)
    assert not flat.any()


def test_a_volume_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="s: has 2 slices; expected a picture, an X-ray or a single slice"):
        picture_of(scan_of(np.zeros((2, 4, 4), np.int16)), None)


def test_labels_of_the_square_picture_go_back_to_their_place() -> None:
    picture = np.zeros((1, 30, 80), np.uint8)
    picture[0, :15, 40:] = 200
    small = resized(picture, 32)
    assert small.shape == (1, 32, 32)
    back = on_grid((small[0] > 100).astype(np.uint8), (30, 80))
    assert np.array_equal(back, (picture[0] > 0).astype(np.uint8))


def test_probabilities_are_averaged_over_mirror_and_sizes() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    found = averaged(lambda image: torch.cat([torch.zeros_like(image), image], 1), ramp, (1.0,), mirror=True)
    assert torch.allclose(found[0, 1], (ramp[0, 0].sigmoid() + ramp[0, 0].sigmoid()) / 2)
    places = torch.arange(8.0).expand(1, 1, 8, 8)
    lopsided = averaged(lambda image: torch.cat([0 * image, places[..., : image.shape[3]]], 1), ramp, mirror=True)
    assert torch.allclose(lopsided[0, 1], lopsided[0, 1].flip(-1))
    sides = []
    averaged(lambda image: sides.append(image.shape[2]) or torch.cat([image] * 2, 1), ramp, (0.5, 1.0), mirror=False)
    assert sides == [4, 8]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Work[WsmisSettings]:
    folder = tmp_path_factory.mktemp("prepared")
    write_picture_cohort(folder / "cohort", 12, 0)
    write_picture_cohort(folder / "test", 4, 1, slices=True)
    table = folder / "cohort" / "labels.csv"
    text = table.read_text(encoding="utf-8").replace("picture_0_04,1,0", "picture_0_04,,0")  # sky is unknown
    table.write_text(text, encoding="utf-8")
    (folder / "out").mkdir()
    data = DataSettings(cohort=folder / "cohort", test=folder / "test", validation=0.25)
    work = Work(folder, folder / "out", WsmisSettings(data=data, prepare=PrepareSettings(side=32)))
    prepare(work)
    return work


def test_the_presence_of_a_single_class_can_be_written_to() -> None:
    table = pd.DataFrame({"scan": ["a", "b"], f"{CLASS}sky": [1, 0]})
    presence = PictureSet(Path(), table, colours=1).presence
    presence[0, 0] = 0  # torch takes no array that cannot be
    assert table[f"{CLASS}sky"].tolist() == [1, 0]


def test_the_table_has_every_picture_with_its_classes_and_split(prepared: Work[WsmisSettings]) -> None:
    pictures = read_pictures(prepared.out)
    assert pictures.classes == ("sky", "grass")
    assert Counter(pictures.table["split"]) == {"training": 9, "validation": 3, "test": 4}
    assert pictures.colours == 3
    assert pictures.images([0, 15]).shape == (2, 3, 32, 32)
    assert pictures.image(15).shape == (1, 1, 32, 32)  # a grey one keeps its channel
    unknown = pictures.table["scan"].tolist().index("picture_0_04")
    assert np.isnan(pictures.presence[unknown, 0])
    assert pictures.presence[unknown, 1] == 0
    assert "prepare.window is null: 4 images have their own range of grey values" in " ".join(prepared.notes)


def test_an_unknown_class_is_present_where_the_classifier_says_so(prepared: Work[WsmisSettings]) -> None:
    pictures = read_pictures(prepared.out)
    probabilities = pd.DataFrame({"file": pictures.files, f"{CLASS}sky": 0.6, f"{CLASS}grass": 0.9})
    found = known_presence(pictures, probabilities)
    unknown = np.isnan(pictures.presence)
    assert found[unknown].tolist() == [1.0]
    assert np.array_equal(found[~unknown], pictures.presence[~unknown])


def test_each_combination_of_classes_is_drawn_equally_often(prepared: Work[WsmisSettings]) -> None:
    pictures = read_pictures(prepared.out).of("training")
    drawn = [row for step in range(10) for row in pictures.balanced(10, 0, step)]
    counts = Counter(str(row) for row in pictures.presence[drawn].tolist())
    assert len(counts) == len({str(row) for row in pictures.presence.tolist()})
    assert max(counts.values()) - min(counts.values()) <= 1


def test_half_of_the_pictures_have_no_class_where_that_is_learnt(prepared: Work[WsmisSettings]) -> None:
    pictures = read_pictures(prepared.out).of("training")
    empty = (pictures.presence == 0).all(axis=1)
    for step in range(5):
        assert empty[pictures.balanced(7, 0, step, halves=True)].sum() == 3
    drawn = [row for step in range(10) for row in pictures.balanced(10, 0, step, halves=True)]
    counts = Counter(str(row) for row in pictures.presence[drawn].tolist() if row != [0.0, 0.0])
    assert max(counts.values()) - min(counts.values()) <= 1
    assert not empty[pictures.balanced(1, 0, 0, halves=True)].any()


def test_any_class_needs_pictures_without_one_and_decides_the_gate(
    prepared: Work[WsmisSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Work, "stage", lambda *_: tmp_path)
    table = pd.read_csv(prepared.out / "index.csv")
    empty = (table[[f"{CLASS}sky", f"{CLASS}grass"]] == 0).all(axis=1)
    table.assign(split="validation").to_csv(tmp_path / "index.csv", index=False)
    probable = pd.DataFrame({"file": table["file"], f"{CLASS}sky": 0.9, f"{CLASS}grass": 0.9})
    probable.assign(**{ANY: np.where(empty, 0.2, 0.9)}).to_csv(tmp_path / "probabilities.csv", index=False)
    assert _gate(prepared) == pytest.approx(0.2, abs=1e-3)
    probable.to_csv(tmp_path / "probabilities.csv", index=False)
    assert _gate(prepared) == pytest.approx(0.99, abs=1e-3)
    table[~empty].assign(split="training").to_csv(tmp_path / "index.csv", index=False)
    config = prepared.config.model_copy(update={"classification": ClassificationSettings(any_class=0.5)})
    with pytest.raises(UserError, match=r"every training picture has a class; .* set it to 0"):
        classification(Work(tmp_path, tmp_path / "out", config))


def test_labels_move_with_their_picture() -> None:
    labels = torch.zeros(4, 24, 24, dtype=torch.long)
    labels[:, 4:12, 3:9] = 1
    images = labels[:, None].float()
    settings = AugmentationSettings(brightness=0.0, contrast=0.0, blur=0.0)
    moved, with_it = augmented(images, labels, settings, generator_for(0, 3))
    assert with_it is not None
    assert ((moved[:, 0] > 0.5) == (with_it == 1)).float().mean() > 0.98
    assert not torch.equal(with_it, labels)
    again, _ = augmented(images, labels, settings, generator_for(0, 3))
    assert torch.equal(moved, again)
    still = AugmentationSettings(
        scales=(1.0, 1.0), angle_degrees=0.0, mirror=False, brightness=0.0, contrast=0.0, blur=0.0
    )
    unchanged, _ = augmented(images, None, still, generator_for(0, 0))
    assert torch.allclose(unchanged, images)


def test_labels_of_regions_alone_are_refused(tmp_path: Path) -> None:
    write_picture_cohort(tmp_path / "cohort", 4, 0)
    (tmp_path / "cohort" / "labels.csv").write_text("image,region,sky\npicture_0_00,left,1\n", encoding="utf-8")
    (tmp_path / "cohort" / "regions").mkdir()
    source = tmp_path / "cohort" / "truth" / "picture_0_00.png"
    (tmp_path / "cohort" / "regions" / "picture_0_00.png").write_bytes(source.read_bytes())
    work = Work(tmp_path, tmp_path / "out", WsmisSettings(data=DataSettings(cohort=tmp_path / "cohort")))
    with pytest.raises(UserError, match=r"labels.csv speaks of regions alone; wsmis learns"):
        prepare(work)
    nothing_left = WsmisSettings(data=DataSettings(cohort=tmp_path / "cohort", validation=0.0))
    with pytest.raises(UserError, match=r"data.validation is 0 and data.test null"):
        prepare(Work(tmp_path, tmp_path / "out", nothing_left))
