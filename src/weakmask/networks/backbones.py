"""Backbones by name, and a classifier on any of them."""

from jaxtyping import Float
from torch import Tensor, nn

from weakmask.networks.dropblock import DropBlock
from weakmask.networks.efficientnet_lite import EfficientNetLite0
from weakmask.networks.encoder import Encoder
from weakmask.networks.resnet import ResNet50
from weakmask.networks.se_resnext import SEResNeXt50
from weakmask.networks.vgg import VGG16

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

    Attributes:
        dimensions: 2.
        encoder: The backbone.
        linear: The layer whose weights define the class activation map.
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
    ) -> None:
        """Build the network from torch's global random state.

        Args:
            backbone: A name of `BACKBONES`.
            out_channels: Number of classes; each has one logit.
            stride: Voxels of the image per voxel of the last maps: 8, 16 or, except for VGG16, 32.
            dropblock: Probability that DropBlock drops a voxel after the two coarsest levels; 0: no DropBlock. WSMIS
                takes 0.2 for X-rays and 0.3 for photographs, with blocks of 7.
            dropblock_ramp: Share of the training in which this probability rises from 0.

        Raises:
            ValueError: A value is unknown or out of range.
        """
        super().__init__()
        self.encoder = build_encoder(backbone, stride)
        self.encoder.add_last_layers()
        if dropblock:
            self.encoder.dropblock = DropBlock(dropblock, ramp=dropblock_ramp)
        self.stride = stride
        self.linear = nn.Linear(self.encoder.last_channels, out_channels)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, image: Float[Tensor, "batch colour y x"]) -> Float[Tensor, "batch class"]:
        """Logits per class of images with values in [0, 1], grey or RGB."""
        return self.linear(self.features(image).mean(dim=(2, 3)))

    def features(self, image: Float[Tensor, "batch colour y x"]) -> Float[Tensor, "batch channel ys xs"]:
        """The maps before the average."""
        return self.encoder.last(self.encoder(image)[-1])
