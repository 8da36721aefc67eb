"""Backbones by name, and a classifier on any of them."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.networks.blocks import kaiming
from weakmask.networks.dropblock import DropBlock
from weakmask.networks.efficientnet_lite import EfficientNetLite0
from weakmask.networks.encoder import Encoder
from weakmask.networks.resnet import ResNet50
from weakmask.networks.se_resnext import SEResNeXt50
from weakmask.networks.vgg import VGG16

LEVELS = 5  # of every backbone
NEW = 64  # channels of the layer after a backbone with fewer levels
BACKBONES: dict[str, type[EfficientNetLite0] | type[VGG16] | type[ResNet50] | type[SEResNeXt50]] = {
    "efficientnet_lite0": EfficientNetLite0,
    "resnet50": ResNet50,
    "se_resnext50_32x4d": SEResNeXt50,
    "vgg16_bn": VGG16,
}


def build_encoder(backbone: str, stride: int) -> Encoder:
    """Build an encoder with random weights; `load_published` replaces them.

    Args:
        backbone: A name of `BACKBONES`.
        stride: Voxels of the image per voxel of the coarsest map: 8, 16 or, except for VGG16, 32.

    Raises:
        ValueError: The name is unknown, or the backbone has no form of this stride.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"backbone {backbone!r} is unknown, expected one of {', '.join(BACKBONES)}")
    return BACKBONES[backbone](stride)


class BackboneClassifier(nn.Module):
    """A backbone, the mean of its last maps over the image and one linear layer, which is a new one.

    Two departures from the published networks make maps of small things sharper (O). With fewer `levels` a voxel of
    the last maps sees less of the image, so that it cannot read the class off its surroundings. With `pooled` below 1
    a class needs its evidence in a small part of the image, not in all of it.

    Attributes:
        dimensions: 2.
        encoder: The backbone.
        last: The new layers behind fewer levels; None: the published ones.
        linear: The layer whose weights define the class activation map.
        pooled: Share of the voxels, those with the highest logits of a class, whose mean is its logit.
        stride: Voxels of the image per voxel of `features`, along every axis.
    """

    dimensions: int = 2

    def __init__(
        self,
        backbone: str = "efficientnet_lite0",
        out_channels: int = 1,
        stride: int = 16,
        dropblock: float = 0.0,
        dropblock_ramp: float = 0.5,
        levels: int | None = None,
        pooled: float = 1.0,
    ) -> None:
        """Build the network from torch's global random state.

        Args:
            backbone: A name of `BACKBONES`.
            out_channels: Number of classes; each has one logit.
            stride: Voxels of the image per voxel of the last maps: 8, 16 or, except for VGG16, 32.
            dropblock: Probability that DropBlock drops a voxel after the two coarsest levels; 0: no DropBlock. WSMIS
                takes 0.2 for X-rays and 0.3 for photographs, with blocks of 7.
            dropblock_ramp: Share of the training in which this probability rises from 0.
            levels: Levels of the backbone, the finest first. Fewer than it has end with a new 1x1 convolution to 64
                channels in place of the published last layers. None: all.
            pooled: Share of the voxels whose mean is a class's logit, in (0, 1]; at least one voxel is taken.

        Raises:
            ValueError: A value is unknown or out of range.
        """
        super().__init__()
        if not 0.0 < pooled <= 1.0:
            raise ValueError(f"pooled must be in (0, 1], not {pooled}")
        self.encoder, self.pooled = build_encoder(backbone, stride), pooled
        if levels is None or levels == len(self.encoder.strides):
            self.encoder.add_last_layers()
            self.last, channels = None, self.encoder.last_channels
        else:
            self.encoder.keep_levels(levels)
            self.last, channels = _new_layer(self.encoder.last_channels, NEW), NEW
        if dropblock:
            self.encoder.dropblock = DropBlock(dropblock, ramp=dropblock_ramp)
        self.stride = self.encoder.strides[-1]
        self.linear = nn.Linear(channels, out_channels)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, image: Float[Tensor, "batch colour y x"]) -> Float[Tensor, "batch class"]:
        """Logits per class of images with values in [0, 1], grey or RGB."""
        return self.logits_of(self.features(image))

    def features(self, image: Float[Tensor, "batch colour y x"]) -> Float[Tensor, "batch channel ys xs"]:
        """The maps before the average."""
        coarse = self.encoder(image)[-1]
        return self.encoder.last(coarse) if self.last is None else self.last(coarse)

    def logits_of(self, features: Float[Tensor, "batch channel ys xs"]) -> Float[Tensor, "batch class"]:
        """Logits per class of the maps that `features` returns."""
        if self.pooled == 1.0:
            return self.linear(features.mean(dim=(2, 3)))
        weights = self.linear.weight[:, :, None, None]
        return highest_mean(F.conv2d(features, weights, self.linear.bias), self.pooled)


def highest_mean(maps: Float[Tensor, "batch class y x"], share: float) -> Float[Tensor, "batch class"]:
    """The mean of the highest values of each map.

    Args:
        maps: Values.
        share: Of the values, in (0, 1]; at least one is taken.
    """
    values = maps.flatten(2)
    return values.topk(max(1, round(share * values.shape[2])), dim=2).values.mean(2)


def _new_layer(channels: int, wide: int) -> nn.Sequential:
    """A 1x1 convolution with batch norm and ReLU."""
    layer = nn.Sequential(nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU(inplace=True))
    return layer.apply(kaiming)
