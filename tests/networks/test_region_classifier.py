"""The classifier of a region: what lies outside the region, and how large it is, does not count."""

import pytest
import torch

from weakmask.networks.classifiers import EncoderClassifier, RegionClassifier

SHAPES = {2: (2, 1, 24, 35), 3: (2, 1, 8, 16, 12)}


def built(dimensions: int) -> RegionClassifier:
    torch.manual_seed(0)
    return RegionClassifier(dimensions, width=2).eval()


@pytest.mark.parametrize("dimensions", SHAPES)
def test_the_logit_is_the_mean_of_the_features_over_the_region(dimensions: int) -> None:
    network, shape = built(dimensions), SHAPES[dimensions]
    image = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    region = torch.zeros(shape)
    region[..., :8, :8] = 1  # one voxel of the features, along the last two axes
    both = torch.cat([image, region], dim=1)
    with torch.no_grad():
        found, features = network(both), network.features(both)
        expected = network.linear(features[..., 0, 0].flatten(2).mean(2) if dimensions == 3 else features[..., 0, 0])
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(
            features, EncoderClassifier.features(network, torch.cat([image, region], dim=1)[:, :1])
        )


@pytest.mark.parametrize("dimensions", SHAPES)
def test_a_region_of_the_whole_crop_is_the_encoder_classifier(dimensions: int) -> None:
    network = built(dimensions)
    plain = EncoderClassifier(dimensions, width=2).eval()
    plain.load_state_dict(network.state_dict())
    image = torch.rand((2, 1, *[16] * dimensions), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(network(torch.cat([image, torch.ones_like(image)], dim=1)), plain(image))


def test_an_empty_region_gives_the_bias_alone() -> None:
    network = built(2)
    with torch.no_grad():
        found = network(torch.cat([torch.rand(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)], dim=1))
    assert torch.equal(found[0], network.linear.bias)


def test_an_image_without_a_region_is_refused() -> None:
    with pytest.raises(ValueError, match="in_channels must be 2 or more, not 1: the last one is the region"):
        RegionClassifier(2, in_channels=1)
