"""The boundary loss against a double loop over the pixels of a small label map."""

import math

import pytest
import torch

from weakmask.losses import class_boundary
from weakmask.refinement import edge_affinity, pixel_pairs

RADIUS = 4


def loop(labels: torch.Tensor, edge: torch.Tensor) -> tuple[float, dict[str, int]]:
    """All pairs of pixels nearer than the radius, each once; the largest edge near the straight line between them."""
    pixels = [(y, x) for y in range(labels.shape[0]) for x in range(labels.shape[1])]
    losses: dict[str, list[float]] = {"background": [], "foreground": [], "different": []}
    for i, a in enumerate(pixels):
        for b in pixels[i + 1 :]:
            length = math.dist(a, b)
            if length >= RADIUS or 255 in (int(labels[a]), int(labels[b])):
                continue
            near = [
                p
                for p in pixels
                if min(a[0], b[0]) <= p[0] <= max(a[0], b[0])
                and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])
                and abs((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])) / length < 1 - 1e-9
            ]
            affinity = 1 - max(float(edge[p]) for p in near)
            if labels[a] != labels[b]:
                losses["different"].append(-math.log(1 - affinity + 1e-5))
            else:
                losses["foreground" if labels[a] else "background"].append(-math.log(affinity + 1e-5))
    means = {name: sum(of) / max(1, len(of)) for name, of in losses.items()}
    total = (means["background"] / 2 + means["foreground"] / 2 + means["different"]) / 2
    return total, {name: len(of) for name, of in losses.items()}


def test_the_loss_is_that_of_a_double_loop() -> None:
    labels = torch.tensor(
        [
            [0, 0, 0, 255, 255, 0],
            [0, 1, 1, 255, 2, 0],
            [0, 1, 1, 2, 2, 0],
            [0, 1, 255, 2, 2, 0],
            [0, 0, 0, 0, 0, 0],
            [255, 0, 0, 0, 1, 1],
        ]
    )
    edge = torch.rand(6, 6, generator=torch.Generator().manual_seed(3))
    pairs = pixel_pairs(labels[None], RADIUS)
    expected, counts = loop(labels, edge)
    for name, count in counts.items():
        assert int(getattr(pairs, name).sum()) == count > 0
    affinity = edge_affinity(edge[None, None], RADIUS)
    found = class_boundary(affinity, pairs.background, pairs.foreground, pairs.different)
    assert found.tolist() == pytest.approx([expected], rel=1e-5)


def test_affinities_with_a_gradient_are_those_without_and_only_the_largest_edge_moves() -> None:
    edge = torch.rand(2, 1, 7, 6)
    leaf = edge.clone().requires_grad_()
    found = edge_affinity(leaf, RADIUS)
    assert torch.equal(found, edge_affinity(edge, RADIUS))
    found[0, :, 3, 2].sum().backward()
    assert leaf.grad is not None
    assert int(leaf.grad[0].sum()) == -int((found[0, :, 3, 2] != 0).sum())
    assert not leaf.grad[1].any()


def test_a_batch_is_its_images_one_by_one_and_an_image_without_pairs_counts_nothing() -> None:
    labels = torch.stack([torch.full((5, 5), 255), torch.randint(0, 3, (5, 5)), torch.zeros(5, 5, dtype=torch.long)])
    edge = torch.rand(3, 1, 5, 5)

    def loss(chosen: slice) -> torch.Tensor:
        pairs = pixel_pairs(labels[chosen], RADIUS)
        affinity = edge_affinity(edge[chosen], RADIUS)
        return class_boundary(affinity, pairs.background, pairs.foreground, pairs.different)

    together = loss(slice(None))
    torch.testing.assert_close(together, torch.cat([loss(slice(i, i + 1)) for i in range(3)]))
    assert float(together[0]) == 0
    assert float(together[2]) > 0


def test_a_network_learns_a_boundary_that_separates_two_halves() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[:, :, 4:] = 1
    labels[:, :, 3:5] = 255  # nobody says where the boundary is
    logits = torch.zeros(1, 1, 8, 8, requires_grad=True)
    pairs = pixel_pairs(labels, 5)
    optimiser = torch.optim.Adam([logits], lr=0.3)
    for _ in range(60):
        optimiser.zero_grad()
        affinity = edge_affinity(logits.sigmoid(), 5)
        class_boundary(affinity, pairs.background, pairs.foreground, pairs.different).sum().backward()
        optimiser.step()
    edge = logits.detach().sigmoid()[0, 0]
    assert float(edge[:, 3:5].amax(dim=1).min()) > 0.8  # somewhere between the halves, in every row
    assert float(edge[:, [0, 1, 6, 7]].max()) < 0.2
