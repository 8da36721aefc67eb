"""V-Net, built from MONAI's own blocks.

Milletari, Navab, Ahmadi 2016, "V-Net: fully convolutional neural networks for volumetric medical image segmentation"
(arXiv 1606.04797), section 2. MONAI fixes the width at the paper's 16 channels, which is too slow to train on a CPU.
Its blocks take any width, so this module puts them together in MONAI's order. At width 16 the weights of both networks
have the same names and shapes.
"""

from types import ModuleType

from jaxtyping import Float
from torch import Tensor, nn

from weakmask.networks.blocks import Convolution3d
from weakmask.networks.dense_blocks import padded
from weakmask.networks.reach import Reach, SegmentationNetwork, Span
from weakmask.networks.unet import crop_far_end

STRIDE = 16  # four halvings
ACTIVATION = ("elu", {"inplace": True})  # as in MONAI; the paper has PReLU
DOWN, UP = (1, 2, 3, 2), (2, 2, 1, 1)  # 5x5x5 convolutions of each stage, in the order of the forward pass


class VNet(SegmentationNetwork):
    """V-Net; returns logits of the image's size. Sides are padded with zeros to multiples of 16 inside."""

    def __init__(self, in_channels: int = 1, out_channels: int = 6, width: int = 16, dropout: float = 0.5) -> None:
        """Build the network from torch's global random state.

        Args:
            in_channels: Channels of the image; `width` must be a multiple of it.
            out_channels: Number of classes, including the background.
            width: Channels of the first stage; 16 in the paper.
            dropout: Probability that a channel is set to zero in training, at the places of MONAI's dropouts.

        Raises:
            ImportError: MONAI is not installed.
            ValueError: The width is not a multiple of the image's channels.
        """
        super().__init__()
        self.dimensions, self.out_channels = 3, out_channels
        blocks, w = _monai_blocks(), width
        both, decoder_only = (dropout, dropout), (None, dropout)
        self.in_tr = blocks.InputTransition(3, in_channels, w, ACTIVATION)
        self.down_tr32 = blocks.DownTransition(3, w, DOWN[0], ACTIVATION)
        self.down_tr64 = blocks.DownTransition(3, 2 * w, DOWN[1], ACTIVATION)
        self.down_tr128 = blocks.DownTransition(3, 4 * w, DOWN[2], ACTIVATION, dropout_prob=dropout)
        self.down_tr256 = blocks.DownTransition(3, 8 * w, DOWN[3], ACTIVATION, dropout_prob=dropout)
        self.up_tr256 = blocks.UpTransition(3, 16 * w, 16 * w, UP[0], ACTIVATION, dropout_prob=both)
        self.up_tr128 = blocks.UpTransition(3, 16 * w, 8 * w, UP[1], ACTIVATION, dropout_prob=both)
        self.up_tr64 = blocks.UpTransition(3, 8 * w, 4 * w, UP[2], ACTIVATION, dropout_prob=decoder_only)
        self.up_tr32 = blocks.UpTransition(3, 4 * w, 2 * w, UP[3], ACTIVATION, dropout_prob=decoder_only)
        self.out_tr = blocks.OutputTransition(3, 2 * w, out_channels, ACTIVATION)
        replace_convolutions(self)

    def forward(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch class *space"]:
        """Logits of an image."""
        first = self.in_tr(padded(image, STRIDE))
        second = self.down_tr32(first)
        third = self.down_tr64(second)
        fourth = self.down_tr128(third)
        maps = self.up_tr256(self.down_tr256(fourth), fourth)
        for up, skip in ((self.up_tr128, third), (self.up_tr64, second), (self.up_tr32, first)):
            maps = up(maps, skip)
        return crop_far_end(self.out_tr(maps), tuple(image.shape[2:]))

    def reach(self) -> Reach:
        """The reach through the bottom of the network, which sees farthest."""
        block = Span(0, STRIDE - 1)
        seen = block.convolutions(1, kernel=5)
        for convolutions in reversed(UP):
            seen = seen.convolutions(convolutions, kernel=5).repeated_doubling()
        for convolutions in reversed(DOWN):
            seen = seen.convolutions(convolutions, kernel=5).halving()
        return Reach(STRIDE, seen.convolutions(1, kernel=5).beyond(block))


def replace_convolutions(module: nn.Module) -> None:
    """Replace every `nn.Conv3d` inside a module by a `Convolution3d` with the same weights, right in bfloat16 too."""
    for name, child in list(module.named_children()):
        if type(child) is nn.Conv3d:
            setattr(module, name, _as_convolution3d(child))
        else:
            replace_convolutions(child)


def _as_convolution3d(old: nn.Conv3d) -> Convolution3d:
    sizes: dict = {"kernel_size": old.kernel_size, "stride": old.stride, "padding": old.padding}
    bias = old.bias is not None
    # on "meta" no weights are drawn, so the random state stays where MONAI's constructors left it
    new = Convolution3d(old.in_channels, old.out_channels, **sizes, bias=bias, device="meta")
    new.weight, new.bias = old.weight, old.bias
    return new


def _monai_blocks() -> ModuleType:
    """MONAI's module of V-Net blocks, imported only when a V-Net is built: MONAI is large and optional."""
    try:
        from monai.networks.nets import vnet  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ImportError(
            "V-Net needs the blocks of MONAI, which is not installed; run `pip install 'weakmask[lobes]'`"
        ) from error
    return vnet
