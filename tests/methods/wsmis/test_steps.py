"""Losses, maps, the gate, the truth of classes and the floors, by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from weakmask.datasets.case import Case, TruthKind
from weakmask.errors import UserError
from weakmask.methods.wsmis.classification import Objective, any_presence, known_cross_entropy
from weakmask.methods.wsmis.config import (
    ClassificationSettings,
    DataSettings,
    MapSettings,
    MaskSettings,
    NetworkSettings,
    WsmisSettings,
)
from weakmask.methods.wsmis.evaluation import ALL, CENTRE, EVERYTHING, NOTHING, Comparison, class_truth, floors
from weakmask.methods.wsmis.evaluation import results as results_of
from weakmask.methods.wsmis.evaluation import summary as summary_of
from weakmask.methods.wsmis.label_settings import LabelSettings
from weakmask.methods.wsmis.labels import _sharpest, crf_of, refined, shaded
from weakmask.methods.wsmis.maps import mapper, outputs_of, somewhere_positive
from weakmask.methods.wsmis.model import _fine, any_class, chosen_gate, gate_note
from weakmask.methods.wsmis.networks import classifier_of, groups_of
from weakmask.methods.wsmis.picture import weighed
from weakmask.methods.wsmis.report_text import methods_text
from weakmask.methods.wsmis.segmentation import labelled_cross_entropy, last_round
from weakmask.networks import build_network
from weakmask.networks.backbones import BackboneClassifier
from weakmask.training.optimisers import build_optimiser


def test_an_unknown_class_teaches_nothing() -> None:
    logits = torch.tensor([[0.3, -2.0], [1.0, 0.5]], requires_grad=True)
    presence = torch.tensor([[1.0, float("nan")], [0.0, 1.0]])
    known_cross_entropy(logits, presence).backward()
    expected = (F.softplus(torch.tensor(-0.3)) + F.softplus(torch.tensor(1.0)) + F.softplus(torch.tensor(-0.5))) / 3
    assert known_cross_entropy(logits, presence).item() == pytest.approx(expected.item())
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0
    assert (logits.grad != 0).sum() == 3
    assert known_cross_entropy(logits, torch.full_like(presence, float("nan"))) == 0


def test_one_more_output_learns_whether_there_is_any_class() -> None:
    nan = float("nan")
    presence = torch.tensor([[0.0, 0.0], [1.0, nan], [0.0, nan], [0.0, 1.0]])
    expected = torch.tensor([[0.0], [1.0], [nan], [1.0]])
    assert torch.equal(any_presence(presence).nan_to_num(7), expected.nan_to_num(7))
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    batch = {"image": logits, "presence": presence}
    found = Objective(1, 0.25)(torch.nn.Identity(), batch, 0)
    of_any = F.binary_cross_entropy_with_logits(logits[[0, 1, 3], 2], torch.tensor([0.0, 1.0, 1.0]))
    classes = known_cross_entropy(logits[:, :2], presence)
    torch.testing.assert_close(found["total"], 0.75 * classes + 0.25 * of_any)
    assert Objective(1)(torch.nn.Identity(), batch | {"image": logits[:, :2]}, 0)["total"] == classes


def test_regions_replace_the_maps_and_do_not_overlap() -> None:
    image = torch.full((1, 1, 100, 100), 180.0)
    image[..., 20:40, 20:40] = 40.0
    image[..., 60:85, 60:85] = 40.0
    maps = torch.zeros(1, 3, 100, 100)
    maps[0, 0, 10:50, 10:50] = 0.9
    maps[0, 1, 50:95, 50:95] = 0.7
    settings = LabelSettings(shade="dark", shade_sigma=0.0, region="sharpest", colours=0.0, reference_side=100.0)
    found = shaded(maps, image, settings)
    assert set(found.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(found[0, 0] == 1, (image[0, 0] == 40.0) & (maps[0, 0] > 0))
    assert torch.equal(found[0, 1] == 1, (image[0, 0] == 40.0) & (maps[0, 1] > 0))
    assert not found[0, 2].any()
    wider = shaded(maps, image, settings.model_copy(update={"margin": 2.0}))
    assert wider[0, 0].sum() == 20 * 20 + 4 * 20 * 2 + 4  # two steps to the four neighbours


def test_where_two_regions_overlap_the_larger_map_has_the_pixel_and_no_pixel_is_lost() -> None:
    image = torch.full((1, 1, 60, 60), 180.0)
    image[..., 10:40, 10:40] = 40.0
    maps = torch.zeros(1, 2, 60, 60)
    maps[0, 0, 5:45, 5:45] = 0.6
    maps[0, 0, 5:12, 5:45] = 0.3
    maps[0, 1, 0:12, :] = 0.9  # its region is small and elsewhere, its map reaches into the first one's
    image[..., 0:8, 50:58] = 10.0
    maps[0, 1, 0:8, 50:58] = 1.0
    settings = LabelSettings(shade="dark", shade_sigma=0.0, region="sharpest", colours=0.0, reference_side=60.0)
    found = shaded(maps, image, settings)
    assert torch.equal(found[0, 0] == 1, (image[0, 0] == 40.0))
    assert found[0, 1].any()
    both = maps.clone()
    both[0, 1] = 0.5 * both[0, 0]
    same = _sharpest(both, both, image, settings)
    assert not same[0, 1].any()
    assert same[0, 0].any()


def test_a_picture_of_one_class_has_the_map_of_any_class() -> None:
    assert list(outputs_of([1], 3, 2)) == [2]
    assert list(outputs_of([0, 1], 3, 2)) == [0, 1]  # they lie in different places
    assert list(outputs_of([1], 2, 2)) == [1]


def test_the_report_says_what_was_done_with_levels_regions_and_any_class() -> None:
    plain = WsmisSettings(data=DataSettings(cohort=Path("c")))
    sharp = WsmisSettings(
        data=plain.data,
        network=NetworkSettings(levels=3, pooled=0.03),
        classification=ClassificationSettings(any_class=0.5),
        labels=LabelSettings(shade="dark", region="sharpest"),
        masks=MaskSettings(region="sharpest"),
    )
    for words in (
        "The 3 finest levels of efficientnet_lite0",
        "the mean of the highest 3 % of a map",
        "half of them without any",
        "Each further round learnt such regions",
        "A mask is the region",
    ):
        assert words in methods_text(sharp)
        assert words not in methods_text(plain)


def test_ignored_pixels_teach_nothing_and_classes_weigh_more() -> None:
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(3, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    labels[0, :2] = 255
    weights = torch.tensor([1.0, 4.0, 4.0])
    expected = F.cross_entropy(logits, labels, weights, ignore_index=255)
    assert labelled_cross_entropy(logits, labels, 4.0).item() == pytest.approx(expected.item(), rel=1e-5)
    assert labelled_cross_entropy(logits, torch.full_like(labels, 255), 4.0) == 0


@pytest.fixture(scope="module")
def classifier() -> BackboneClassifier:
    torch.manual_seed(0)
    network = build_network(*classifier_of(NetworkSettings(), 2))
    assert isinstance(network, BackboneClassifier)
    torch.nn.init.uniform_(network.linear.weight)  # not negative: Grad-CAM cuts at 0 before it enlarges, CAM after
    return network.eval()


def test_grad_cam_is_cam_and_maps_of_both_sizes_follow_the_mirror_image(classifier: BackboneClassifier) -> None:
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    found = {
        variant: mapper(classifier, MapSettings(variant=variant, scales=(1.0,), mirror=False))(image)
        for variant in ("cam", "gradcam", "gradcam++")
    }
    assert found["cam"].shape == (2, 2, 64, 64)
    assert torch.allclose(found["cam"], found["gradcam"], atol=1e-3)
    assert not torch.allclose(found["cam"], found["gradcam++"], atol=1e-2)
    assert torch.allclose(found["cam"].amax((2, 3)), torch.ones(2, 2))
    mirrored = mapper(classifier, MapSettings(scales=(1.0, 1.5)))
    assert torch.allclose(mirrored(image), mirrored(image.flip(-1)).flip(-1), atol=1e-4)
    assert all(parameter.requires_grad for parameter in classifier.linear.parameters())


def test_grad_cam_is_cam_of_a_classifier_of_few_levels_that_pools_the_highest_part() -> None:
    torch.manual_seed(0)
    network = build_network(*classifier_of(NetworkSettings(levels=3, pooled=0.05), 2)).eval()
    assert isinstance(network, BackboneClassifier)
    torch.nn.init.uniform_(network.linear.weight)
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    cam, grad_cam = (
        mapper(network, MapSettings(variant=variant, scales=(1.0,), mirror=False))(image)
        for variant in ("cam", "gradcam")
    )
    assert cam.std() > 0.05
    assert torch.allclose(cam, grad_cam, atol=1e-3)


def test_new_layers_learn_faster_and_frozen_ones_not(classifier: BackboneClassifier) -> None:
    classifier.encoder.freeze(8)
    backbone, new = build_optimiser(groups_of(classifier, 0.1, 1.0), "sgd").param_groups
    assert (backbone["lr"], new["lr"]) == (0.1, 1.0)
    assert {id(one) for one in new["params"]} == {id(one) for one in classifier.linear.parameters()}
    assert 0 < len(backbone["params"]) < len(list(classifier.encoder.parameters()))
    classifier.encoder.freeze(0, batch_norm=False)


def test_the_crf_follows_the_picture_and_grows_with_it() -> None:
    image = torch.full((1, 1, 32, 32), 20.0)
    image[..., 8:24, 8:24] = 220.0
    maps = torch.zeros(1, 2, 32, 32)
    maps[0, 1, 10:24, 10:26] = 1.0
    found = refined(maps, 0.3, image, LabelSettings())
    assert torch.equal(found[0] == 2, image[0, 0] > 100)
    assert torch.equal(refined(maps, 0.3, image, LabelSettings(crf=False)), (maps[:, 1] > 0.3) * 2)
    assert crf_of(LabelSettings(), 250).appearance_mm == crf_of(LabelSettings(), 500).appearance_mm / 2
    assert not refined(torch.zeros_like(maps), 0.3, image, LabelSettings()).any()


def test_the_gate_leaves_the_wanted_share_of_empty_images_empty() -> None:
    highest = np.array([0.1, 0.7, 0.2, 0.4, 0.3])
    for specificity, empty in ((0.0, 0), (0.2, 1), (0.5, 3), (0.8, 4), (1.0, 5)):
        assert (highest < chosen_gate(highest, specificity)).sum() == empty
    assert chosen_gate(np.array([]), 0.9) == 0.0
    assert gate_note(0.25, evaluated_too=False).endswith("below 0.25, chosen by the validation images' classes")
    assert gate_note(0.25, evaluated_too=True).endswith("so their empties_right is too good")


def case(kind: TruthKind) -> Case:
    return Case("a", Path("a.png"), None, Path("truth/a.png"), {}, truth_kind=kind)


def test_a_truth_of_any_kind_becomes_classes() -> None:
    drawn = np.array([[0, 2], [255, 1]])
    both, second = np.array([1.0, 1.0]), np.array([0.0, 1.0])
    assert np.array_equal(class_truth(case("classes"), drawn, both), drawn)
    assert class_truth(case("binary"), np.array([[0, 255]]), second).tolist() == [[0, 2]]
    assert class_truth(case("instances"), np.array([[0, 7]]), np.array([1.0])).tolist() == [[0, 1]]
    assert not class_truth(case("binary"), np.zeros((1, 2), int), both).any()
    with pytest.raises(UserError, match=r"has the label 3; labels.csv has 2 classes"):
        class_truth(case("classes"), np.array([[3]]), both)
    with pytest.raises(UserError, match="says where and not of which class, and the image has 2 classes"):
        class_truth(case("binary"), np.array([[1]]), both)


def test_floors_know_the_class_and_nothing_else() -> None:
    found = floors((100, 200), np.array([0.0, 1.0]))
    assert set(np.unique(found[EVERYTHING])) == {2}
    assert not found[NOTHING].any()
    assert found[CENTRE][50, 100] == 2
    assert found[CENTRE][0, 0] == 0
    assert (found[CENTRE] > 0).mean() == pytest.approx(np.pi * 0.35**2, abs=0.002)
    assert not any(mask.any() for mask in floors((4, 4), np.zeros(2)).values())


def test_tables_count_classes_and_their_union_by_hand() -> None:
    confusion = np.array([[50, 3, 0], [4, 20, 6], [0, 0, 17]])
    found = [Comparison("WSMIS", "a", "p", confusion), Comparison("WSMIS", "b", "q", np.diag([90, 10, 0]))]
    table = results_of(found, ("sky", ALL)).set_index(["scan", "subset"])
    assert table.loc[("a", ALL), ["tp", "fp", "fn", "tn"]].tolist() == [43, 3, 4, 50]
    assert table.loc[("a", "sky"), ["tp", "fp", "fn", "tn"]].tolist() == [20, 3, 10, 67]
    assert table.loc[("a", "class all"), ["tp", "fp", "fn", "tn"]].tolist() == [17, 6, 0, 77]
    summary = summary_of(found, ("sky", ALL)).iloc[0]
    assert (summary["scans"], summary["patients"]) == (2, 2)
    assert summary["positives"] == pytest.approx((43 / 50 + 1) / 2)
    assert summary["iou sky"] == pytest.approx(30 / 43)
    assert summary["positives_low"] <= summary["positives"] <= summary["positives_high"]


def test_the_last_round_is_the_one_with_the_highest_number(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        (tmp_path / f"round-{number}").mkdir()
    assert last_round(tmp_path).name == "round-10"


def test_a_picture_with_a_class_has_a_map_of_it_even_where_all_values_are_negative() -> None:
    maps = torch.tensor([[[[-3.0, -1.0]], [[-2.0, 4.0]]]])
    assert somewhere_positive(maps).tolist() == [[[[0.0, 2.0]], [[0.0, 4.0]]]]


def test_a_lesion_of_an_unknown_class_is_still_a_lesion() -> None:
    found = any_class(np.array([[0.4, 0.4], [0.0, 0.0], [1.0, 0.2]]))
    assert np.allclose(found, [0.64, 0.0, 1.0])


def test_the_image_says_which_class_and_not_where() -> None:
    pixels = torch.tensor([[[0.4, 0.9], [0.5, 0.05], [0.1, 0.05]]])  # labels, pixels
    found = weighed(pixels, torch.tensor([[0.1, 0.9]]))[0]
    assert torch.allclose(found[0], pixels[0, 0])
    assert torch.allclose(found[1:].sum(0), pixels[0, 1:].sum(0))
    assert torch.allclose(found[2], torch.tensor([0.6 * 0.09 / 0.14, 0.1 * 0.9]))
    assert torch.allclose(weighed(pixels, torch.tensor([[1.0, 0.0]]))[0, 2], torch.zeros(2))
    assert torch.equal(weighed(pixels, torch.zeros(1, 2)), pixels)
    unsure = torch.tensor([[[0.4, 0.6]], [[0.35, 0.2]], [[0.25, 0.2]]])[None]  # no class alone exceeds background
    assert _fine(unsure, (1, 2), together=True)[0].tolist() == [[1, 0]]
    assert _fine(unsure, (1, 2), together=False)[0].tolist() == [[0, 0]]
