"""Mean of a map inside a region, the prediction that is compared with the label of the region."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def region_mean(
    values: Float[Tensor, "batch 1 *space"], region: Bool[Tensor, "batch 1 *space"] | Float[Tensor, "batch 1 *space"]
) -> Float[Tensor, " batch"]:
    """Mean of each sample's values inside its region.

    For a sigmoid map this is the predicted lesion fraction of the region (dRAM, section III-A-1). Half-precision values
    are summed in float32: bfloat16 has no odd integers above 256.

    Args:
        values: A map.
        region: True inside, or weights in [0, 1] (a region that was moved with linear interpolation).

    Returns:
        One mean per sample; an empty region has mean 0 and no gradient.
    """
    exact = torch.promote_types(values.dtype, torch.float32)
    weights = region.to(exact).flatten(1)
    total = weights.sum(dim=1)
    inside = (values.to(exact).flatten(1) * weights).sum(dim=1)
    return inside / torch.where(total > 0, total, torch.ones_like(total))
