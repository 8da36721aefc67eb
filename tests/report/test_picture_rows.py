"""Figures of pictures in rows: labels as tints, maps as heat, a panel per step."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from weakmask.report.picture_rows import COLOURS, TINT, UNSURE, PictureRow, draw_picture_rows, heated, tinted

BLACK = np.zeros((6, 8, 3), np.uint8)


def test_labels_are_tinted_and_the_rest_is_the_picture():
    labels = np.zeros((6, 8), np.uint8)
    labels[1, 2], labels[3, 4], labels[5, 5] = 1, 2, 255
    found = tinted(BLACK, labels)
    assert np.array_equal(found[labels == 0], BLACK[labels == 0])
    assert found[1, 2].tolist() == np.rint(TINT * COLOURS[0].astype(np.float32)).tolist()
    assert found[3, 4].tolist() == np.rint(TINT * COLOURS[1].astype(np.float32)).tolist()
    assert found[5, 5].tolist() == np.rint(TINT * np.array(UNSURE, np.float32)).tolist()


def test_a_strong_map_is_brighter():
    found = heated(BLACK, np.linspace(0, 1, 48).reshape(6, 8)).astype(int).sum(-1).reshape(-1)
    assert found[-1] > found[24] > found[0]


def test_a_row_may_lack_a_panel():
    rows = [
        PictureRow("a", "IoU 0.1", {"image": BLACK, "mask": BLACK}),
        PictureRow("b", "", {"image": BLACK, "truth": BLACK}),
    ]
    figure = draw_picture_rows(rows)
    assert figure.startswith("data:image/webp;base64,")
    with Image.open(BytesIO(base64.b64decode(figure.partition(",")[2]))) as image:
        wide, high = image.size
    assert wide / high > 1.3  # three columns, two rows
    assert draw_picture_rows([]) == ""
