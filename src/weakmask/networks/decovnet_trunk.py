"""The trunk that DeCoVNet and AD3D-MIL share: a strided convolution and two bottlenecks, in 2-D and 3-D.

Wang X. et al., "A Weakly-Supervised Framework for COVID-19 Classification and Lesion Localization From Chest CT", IEEE
TMI 39(8), 2020; Han et al., "Accurate Screening of COVID-19 Using Attention-Based Deep 3D Multiple Instance Learning",
ibid. The numbers are those of the released code; in 2-D the axis z is left out.
"""

from jaxtyping import Float
from torch import Tensor, nn

from weakmask.networks.blocks import BATCH_NORM, CONVOLUTION, kaiming

MAX_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
ADAPTIVE_MAX = {2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}
FEATURES = 128
STRIDES = (2.0, 8.0, 8.0)  # voxels of the image per voxel of the features, z y x
FIRST = (0.5, 0.0, 0.0)  # voxel of the image in the middle of the first feature


def along(dimensions: int, sides: tuple[int, int, int]) -> tuple[int, ...]:
    """Sides in (z, y, x), without z in 2-D."""
    return sides[3 - dimensions :]


def shrunk(sides: tuple[int, int, int], factor: int) -> tuple[int, int, int]:
    """The sides of a grid divided by a factor, at least 1."""
    z, y, x = (max(1, side // factor) for side in sides)
    return z, y, x


def convolution(
    dimensions: int, channels: tuple[int, int], kernel: tuple[int, int, int], stride: tuple[int, int, int] = (1, 1, 1)
) -> nn.Module:
    """A convolution without bias, padded so that the middle of its kernel lies on every `stride`-th voxel."""
    padding = along(dimensions, (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2))
    sides, steps = along(dimensions, kernel), along(dimensions, stride)
    return CONVOLUTION[dimensions](*channels, sides, steps, padding, bias=False)  # pyright: ignore[reportArgumentType]


class Bottleneck(nn.Module):
    """A residual block: along z to fewer channels, within slices, pointwise to more channels; a pointwise shortcut."""

    def __init__(self, dimensions: int, channels: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        """Build the block.

        Args:
            dimensions: 2 or 3.
            channels: Of the input, inside, and of the output.
            stride: Of the convolution within slices, and of the shortcut.
        """
        super().__init__()
        before, inner, after = channels
        norm = BATCH_NORM[dimensions]
        self.branch = nn.Sequential(
            convolution(dimensions, (before, inner), (3, 1, 1)),
            norm(inner),
            nn.ReLU(inplace=True),
            convolution(dimensions, (inner, inner), (1, 3, 3), stride),
            norm(inner),
            nn.ReLU(inplace=True),
            convolution(dimensions, (inner, after), (1, 1, 1)),
            norm(after),
        )
        self.shortcut = nn.Sequential(convolution(dimensions, (before, after), (1, 1, 1), stride), norm(after))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch wide *output"]:
        """The sum of branch and shortcut, after ReLU."""
        return self.relu(self.branch(maps) + self.shortcut(maps))


class DeCoVNetTrunk(nn.Sequential):
    """Image -> 128 features at an eighth of the resolution within slices and a half along z.

    The middle of feature (k, j, i) lies at voxel (2k + 1/2, 8j, 8i) of the image.
    """

    def __init__(self, dimensions: int, in_channels: int) -> None:
        """Build the trunk; call `start` on the whole network for its first weights.

        Raises:
            ValueError: `dimensions` is neither 2 nor 3.
        """
        if dimensions not in CONVOLUTION:
            raise ValueError(f"dimensions must be 2 or 3, not {dimensions}")
        pool, sides = MAX_POOL[dimensions], [along(dimensions, side) for side in ((1, 3, 3), (1, 2, 2), (0, 1, 1))]
        layers: list[nn.Module] = [
            convolution(dimensions, (in_channels, 16), (5, 7, 7), (1, 2, 2)),
            BATCH_NORM[dimensions](16),
            nn.ReLU(inplace=True),
            pool(*sides),
            Bottleneck(dimensions, (16, 16, 64), (1, 1, 1)),
            *([nn.MaxPool3d((2, 1, 1), ceil_mode=True)] if dimensions == 3 else []),
            Bottleneck(dimensions, (64, 32, FEATURES), (1, 2, 2)),
        ]
        super().__init__(*layers)


def start(network: nn.Module) -> None:
    """Set the first weights: Kaiming, linear layers normal with 0.01, the last batch norm of a block zero."""
    network.apply(kaiming)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, Bottleneck):
            last = module.branch[-1]
            assert isinstance(last, nn.BatchNorm2d | nn.BatchNorm3d)  # noqa: S101 - for the type checker
            nn.init.zeros_(last.weight)
