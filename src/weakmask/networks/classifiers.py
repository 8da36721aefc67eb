"""Convolutional classifiers with a spatial feature map, from which class activation maps are computed."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.networks.blocks import CONVOLUTION, MAX_POOL, convolution_pair, kaiming
from weakmask.networks.unet import STRIDE

AVERAGE_POOL = {2: F.avg_pool2d, 3: F.avg_pool3d}
LEAST_SHARE = 1e-6  # of voxels, so that an empty region divides by no zero


class EncoderClassifier(nn.Module):
    """The down-sampling path of the dRAM paper's U-Net, global average pooling and one linear layer.

    Xie et al. 2021 (arXiv 2105.11748), section IV-C-2. Channels at base width w: (w, 2w) (2w, 4w) (4w, 8w), bottom
    (8w, 16w), with max-pooling between them. The features have 16 w channels at an eighth of the image's resolution.

    Attributes:
        dimensions: 2 or 3.
        stride: Voxels of the image per voxel of the features, along every axis.
        linear: The layer whose weights define the class activation map.
    """

    stride: int = STRIDE

    def __init__(self, dimensions: int = 3, in_channels: int = 1, out_channels: int = 1, width: int = 32) -> None:
        """Build the network with Kaiming weights from torch's global random state.

        Args:
            dimensions: 2 or 3.
            in_channels: Channels of the image.
            out_channels: Number of classes; each has one logit.
            width: Base width w; 32 in the paper's U-Net.

        Raises:
            ValueError: `dimensions` is neither 2 nor 3.
        """
        super().__init__()
        if dimensions not in CONVOLUTION:
            raise ValueError(f"dimensions must be 2 or 3, not {dimensions}")
        self.dimensions = dimensions
        w = width
        self.encoder = nn.ModuleList(
            convolution_pair(dimensions, channels, widths, padding=1)
            for channels, widths in ((in_channels, (w, 2 * w)), (2 * w, (2 * w, 4 * w)), (4 * w, (4 * w, 8 * w)))
        )
        self.pool = MAX_POOL[dimensions](2)
        self.bottom = convolution_pair(dimensions, 8 * w, (8 * w, 16 * w), padding=1)
        self.linear = nn.Linear(16 * w, out_channels)
        self.apply(kaiming)

    def forward(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch class"]:
        """Logits per class: global average pooling of the features, then the linear layer."""
        return self.linear(self.features(image).flatten(2).mean(dim=2))

    def features(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch feature *coarse"]:
        """The features before global pooling, one voxel per 8 image voxels along every axis, rounded up.

        Sides that are not multiples of 8 are padded with zeros at their far end.
        """
        maps = _padded(image)
        for pair in self.encoder:
            maps = self.pool(pair(maps))
        return self.bottom(maps)


class RegionClassifier(EncoderClassifier):
    """`EncoderClassifier` of one region of the image, whose mask is the second channel of the input.

    The features are averaged inside the region alone. A classifier that averages all of a crop reads the border of a
    lung, too, and its class activation map marks the rim.
    """

    def __init__(self, dimensions: int = 3, in_channels: int = 2, out_channels: int = 1, width: int = 32) -> None:
        """Build the network with Kaiming weights from torch's global random state.

        Args:
            dimensions: 2 or 3.
            in_channels: Channels of the input, the mask of the region among them, which is the last.
            out_channels: Number of classes; each has one logit.
            width: Base width w.

        Raises:
            ValueError: `dimensions` is neither 2 nor 3, or there is no channel beside the mask.
        """
        if in_channels < 2:
            raise ValueError(f"in_channels must be 2 or more, not {in_channels}: the last one is the region")
        super().__init__(dimensions, in_channels - 1, out_channels, width)

    def forward(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch class"]:
        """Logits per class: the mean of the features over the region, then the linear layer."""
        share = AVERAGE_POOL[self.dimensions](_padded(image[:, -1:]), STRIDE).flatten(2)
        features = self.features(image).flatten(2)
        return self.linear((features * share).sum(dim=2) / share.sum(dim=2).clamp_min(LEAST_SHARE))

    def features(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch feature *coarse"]:
        """The features of the image before pooling; they do not depend on the region."""
        return super().features(image[:, :-1])


def _padded(image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *padded"]:
    """The image with zeros at its far ends, so that its sides are multiples of the stride."""
    if not any(side % STRIDE for side in image.shape[2:]):
        return image
    # F.pad counts from the last axis
    return F.pad(image, [amount for side in reversed(image.shape[2:]) for amount in (0, -side % STRIDE)])
