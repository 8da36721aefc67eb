"""Two-dimensional convolutions with the `same` padding of TensorFlow."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from weakmask.networks.depthwise import DepthwiseLayer


class SameConvolution(DepthwiseLayer):
    """A convolution whose output has ceil(side / stride) voxels, padded with zeros as TensorFlow does.

    Of an odd number of zeros, one more is at the far end: stride 2 on an even side has k // 2 - 1 zeros before and
    k // 2 after it. PyTorch's own padding is symmetric, which shifts the map by one voxel.
    """

    def __init__(
        self, channels: int, wide: int, kernel: int, stride: int = 1, *, dilation: int = 1, groups: int = 1
    ) -> None:
        """Build the layer; it has no bias.

        Args:
            channels: Channels of the input.
            wide: Channels of the output.
            kernel: Side of the kernel, an odd number.
            stride: Voxels of the input per voxel of the output.
            dilation: Distance of neighbouring weights, in voxels.
            groups: Groups of channels; as many as channels for a depthwise convolution.
        """
        symmetric = dilation * (kernel - 1) // 2 if stride == 1 else 0
        super().__init__(
            channels, wide, kernel, stride, padding=symmetric, dilation=dilation, groups=groups, bias=False
        )
        self.spanned = dilation * (kernel - 1) + 1  # voxels from the kernel's first weight to its last

    def zeros(self, side: int) -> tuple[int, int]:
        """The zeros before and after a side of the input."""
        stride = self.stride[0]
        total = max((-(-side // stride) - 1) * stride + self.spanned - side, 0)
        return total // 2, total - total // 2

    def forward(self, input: Float[Tensor, "batch channel y x"]) -> Float[Tensor, "batch wide ys xs"]:  # noqa: A002 - torch's own name
        """As `nn.Conv2d`, padded."""
        if self.stride[0] == 1:  # the padding is symmetric and needs no copy of the map
            return super().forward(input)
        return super().forward(F.pad(input, (*self.zeros(input.shape[3]), *self.zeros(input.shape[2]))))
