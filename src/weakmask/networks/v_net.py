"""V-Net, out of MONAI's own blocks.

Milletari, Navab, Ahmadi 2016, "V-Net: fully convolutional neural networks for volumetric medical image segmentation"
(arXiv 1606.04797), section 2. MONAI fixes the width at the paper's 16 channels, which a CPU cannot train; the blocks
take any, so they are put together here as MONAI puts them. At width 16 weights go from one to the other by name.
"""

from importlib import import_module
from types import ModuleType

from jaxtyping import Float
from torch import Tensor, nn

from weakmask.networks.blocks import Convolution3d
from weakmask.networks.dense_blocks import padded
from weakmask.networks.unet import crop_far_end

STRIDE = 16  # four halvings
ACTIVATION = ("elu", {"inplace": True})  # MONAI's; the paper's is PReLU


class VNet(nn.Module):
    """Returns logits of the image's size; sides are filled up with zeros to multiples of 16 inside."""

    def __init__(self, in_channels: int = 1, out_channels: int = 6, width: int = 16, dropout: float = 0.5) -> None:
        """Build the network from torch's global random state.

        Args:
            in_channels: Channels of the image; `width` is a multiple of it.
            out_channels: Classes, background among them.
            width: Channels of the first stage; the paper's is 16.
            dropout: Chance that a channel is silent in training, where MONAI's network has its dropouts.

        Raises:
            ImportError: MONAI is not installed.
            ValueError: The width is no multiple of the image's channels.
        """
        super().__init__()
        blocks, w = _monai_blocks(), width
        self.in_tr = blocks.InputTransition(3, in_channels, w, ACTIVATION)
        self.down_tr32 = blocks.DownTransition(3, w, 1, ACTIVATION)
        self.down_tr64 = blocks.DownTransition(3, 2 * w, 2, ACTIVATION)
        self.down_tr128 = blocks.DownTransition(3, 4 * w, 3, ACTIVATION, dropout_prob=dropout)
        self.down_tr256 = blocks.DownTransition(3, 8 * w, 2, ACTIVATION, dropout_prob=dropout)
        self.up_tr256 = blocks.UpTransition(3, 16 * w, 16 * w, 2, ACTIVATION, dropout_prob=(dropout, dropout))
        self.up_tr128 = blocks.UpTransition(3, 16 * w, 8 * w, 2, ACTIVATION, dropout_prob=(dropout, dropout))
        self.up_tr64 = blocks.UpTransition(3, 8 * w, 4 * w, 1, ACTIVATION, dropout_prob=(None, dropout))
        self.up_tr32 = blocks.UpTransition(3, 4 * w, 2 * w, 1, ACTIVATION, dropout_prob=(None, dropout))
        self.out_tr = blocks.OutputTransition(3, 2 * w, out_channels, ACTIVATION)
        for module in self.modules():
            if type(module) is nn.Conv3d:
                module.__class__ = Convolution3d  # MONAI's own weights and names, but right in bfloat16

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


def _monai_blocks() -> ModuleType:
    """MONAI is large and no other network needs it, so it is imported when a V-Net is built."""
    try:
        return import_module("monai.networks.nets.vnet")
    except ModuleNotFoundError as error:
        raise ImportError(
            "V-Net is made of MONAI's blocks; install them with `pip install 'weakmask[lobes]'`"
        ) from error
