"""Scores of class masks against plain loops over images and pixels."""

import dataclasses
import math

import numpy as np
import pytest

from weakmask.evaluation.class_masks import class_confusion, mask_scores, score_interval

CHOOSER = np.random.default_rng(5)
CLASSES = 3


def images(count: int = 9) -> list[tuple[np.ndarray, np.ndarray]]:
    made = []
    for i in range(count):
        truth = CHOOSER.choice([0, 1, 2, 255], (6, 7), p=[0.5, 0.2, 0.2, 0.1])
        prediction = CHOOSER.choice([0, 1, 2], (6, 7), p=[0.6, 0.2, 0.2])
        if i % 3 == 0:
            truth[(truth == 1) | (truth == 2)] = 0
        if i % 4 == 0:
            prediction[:] = 0
        made.append((prediction, truth))
    return made


def sets_of(prediction: np.ndarray, truth: np.ndarray, image: int) -> dict[str, set]:
    """Places of the pixels that count, by what they are."""
    places = {(image, *place) for place in np.ndindex(truth.shape) if truth[place] != 255}
    found = {f"p{k}": {p for p in places if prediction[p[1:]] == k} for k in range(CLASSES)}
    return found | {f"t{k}": {p for p in places if truth[p[1:]] == k} for k in range(CLASSES)}


def iou(a: set, b: set) -> float:
    return len(a & b) / len(a | b) if a | b else 1.0


def test_every_score_is_its_plain_definition() -> None:
    every = images()
    sets = [sets_of(*pair, image) for image, pair in enumerate(every)]
    fore = [(s["p1"] | s["p2"], s["t1"] | s["t2"]) for s in sets]
    found = mask_scores(np.stack([class_confusion(*pair, CLASSES) for pair in every]))
    assert found.positives == pytest.approx(np.mean([iou(p, t) for p, t in fore if t]))
    assert found.all_empty_1 == pytest.approx(np.mean([iou(p, t) for p, t in fore]))
    assert found.dice == pytest.approx(np.mean([2 * len(p & t) / (len(p) + len(t)) if p or t else 1 for p, t in fore]))
    assert found.pooled == pytest.approx(iou(set().union(*[p for p, _ in fore]), set().union(*[t for _, t in fore])))
    by_class = [
        iou(set().union(*[s[f"p{k}"] for s in sets]), set().union(*[s[f"t{k}"] for s in sets])) for k in range(CLASSES)
    ]
    assert (found.background, *found.classes) == pytest.approx(by_class)
    assert found.mean_iou == pytest.approx(np.mean(by_class))
    assert found.empties_right == pytest.approx(np.mean([not p for p, t in fore if not t]))
    assert 0 < found.empties_right < 1


def test_predicting_nothing_scores_the_share_of_empty_images_in_one_mean_and_nothing_in_the_other() -> None:
    truths = [np.zeros((4, 4), int)] * 3 + [np.eye(4, dtype=int)]
    found = mask_scores(np.stack([class_confusion(np.zeros((4, 4), int), truth, 2) for truth in truths]))
    assert (found.all_empty_1, found.positives, found.empties_right, found.pooled) == (0.75, 0.0, 1.0, 0.0)


def test_what_is_ignored_does_not_count_and_a_class_that_is_nowhere_has_no_iou() -> None:
    truth, prediction = np.full((3, 3), 255), np.ones((3, 3), int)
    truth[0] = 1
    found = mask_scores(class_confusion(prediction, truth, 3)[None])
    assert (found.positives, found.pooled, found.mean_iou) == (1.0, 1.0, 1.0)
    assert math.isnan(found.classes[1])
    assert math.isnan(found.background)
    assert math.isnan(found.empties_right)


def test_weights_count_images_twice() -> None:
    every = np.stack([class_confusion(*pair, CLASSES) for pair in images(4)])
    weighted = dataclasses.asdict(mask_scores(every, np.array([1.0, 2.0, 0.0, 1.0])))
    for name, value in dataclasses.asdict(mask_scores(every[[0, 1, 1, 3]])).items():
        assert weighted[name] == pytest.approx(value, nan_ok=True)


def test_an_interval_draws_patients_not_images() -> None:
    one = class_confusion(np.array([1, 1, 0]), np.array([1, 0, 0]), 2)
    other = class_confusion(np.array([0, 1, 0]), np.array([1, 0, 0]), 2)
    confusions = np.stack([one, one, one, other, other, other])
    alone = score_interval(confusions, range(6), lambda scores: scores.positives)
    together = score_interval(confusions, ["a"] * 3 + ["b"] * 3, lambda scores: scores.positives)
    assert alone[1] - alone[0] < together[1] - together[0]
    assert together == (0.0, 0.5)
    assert all(math.isnan(end) for end in score_interval(confusions, ["a"] * 6, lambda scores: scores.positives))


@pytest.mark.usefixtures("unchecked_types")
def test_labels_and_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one grid"):
        class_confusion(np.zeros((2, 3), int), np.zeros((3, 2), int), 2)
    with pytest.raises(ValueError, match="labels 0 to 2; expected 0 to 1, or 255"):
        class_confusion(np.array([0, 2]), np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="1 images and 2 groups"):
        score_interval(np.zeros((1, 2, 2), int), ["a", "b"], lambda scores: scores.dice)
