"""The boundary branch: its grid, its size and where its gradients go."""

import torch

from weakmask.networks.boundary_net import BoundaryNet


def test_levels_of_all_sizes_are_joined_on_one_grid() -> None:
    branch = BoundaryNet([16, 24, 40])
    features = [torch.rand(2, 16, 24, 20), torch.rand(2, 24, 12, 10), torch.rand(2, 40, 6, 5)]
    found = branch(features, (12, 10))
    assert found.shape == (2, 1, 12, 10)
    found.sum().backward()
    assert all(parameter.grad is not None for parameter in branch.parameters())
    weights = sum(parameter.numel() for parameter in branch.parameters())
    assert weights == 32 * (16 + 24 + 40) + 3 * 2 * 32 + 3 * 32 + 1


def test_the_boundary_of_an_image_does_not_depend_on_its_batch() -> None:
    branch = BoundaryNet([8, 8])
    features = [torch.rand(3, 8, 10, 10), torch.rand(3, 8, 5, 5)]
    together = branch(features, (10, 10))
    alone = branch([maps[1:2] for maps in features], (10, 10))
    torch.testing.assert_close(together[1:2], alone)
