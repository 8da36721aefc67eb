"""Grad-CAM (Selvaraju et al. 2017) and Grad-CAM++ (Chattopadhay et al. 2018) of any network and layer, 2-D or 3-D.

With A_k the features of the layer, y_c the logit of a class, and g = dy_c / dA_k, all sums over space, each map is

    L_c(x) = ReLU(sum_k w_k A_k(x)).

The variants differ in w_k alone. No map is rescaled, inverted or enlarged here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

Features = Float[Tensor, "batch feature *coarse"]
Weights = Float[Tensor, "batch feature"]
Map = Float[Tensor, "batch *coarse"]

LEAST_OF_PYTORCH_GRAD_CAM = 1e-6
LEAST_OF_MONAI = 1e-7
LEAST_OF_WSMIS = 1e-8


def gradient_maps(
    network: nn.Module,
    layer: nn.Module | str,
    image: Float[Tensor, "batch channel *space"],
    classes: Sequence[int] | None = None,
    variant: str = "gradcam++",
    logits_of: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Float[Tensor, "batch class *coarse"], Float[Tensor, "batch every"]]:
    """The maps of several classes from one forward pass.

    Only the part of the network behind the layer is differentiated: the part before it keeps no graph. The network is
    left as it was, also after an error: its hooks, and which of its parameters want a gradient.

    Args:
        network: A network in evaluation mode, so that no image depends on the others of its batch.
        layer: One of its modules or the name of one, whose output are the features A.
        image: On the network's device.
        classes: Indices of the logits; None: all.
        variant: A key of `WEIGHTS`.
        logits_of: Output of the network -> logits (batch, class); None: the output itself.

    Returns:
        The maps at the resolution of the features, not negative and in no fixed range, and the logits of every class.

    Raises:
        ValueError: Unknown variant, layer or class, a network in training mode, a layer that does not run exactly
            once, or logits of another shape.
        TypeError: The layer returns no tensor.
    """
    if variant not in WEIGHTS:
        raise ValueError(f"unknown variant {variant!r}; expected one of {', '.join(WEIGHTS)}")
    if network.training:
        raise ValueError("the network is in training mode; call network.eval() first")
    with _features_kept(network, _module(network, layer)) as kept, torch.enable_grad():
        output = network(image.detach())
        logits = output if logits_of is None else logits_of(output)
        if len(kept) != 1:
            raise ValueError(f"the layer ran {len(kept)} times in one forward pass; expected once")
        if logits.ndim != 2:
            raise ValueError(f"logits of shape {tuple(logits.shape)}; expected (batch, class)")
        features = kept[0]
        wanted = list(range(logits.shape[1]) if classes is None else classes)
        final = len(wanted) - 1
        maps = [_map(features, logits, index, variant, last=place == final) for place, index in enumerate(wanted)]
    return torch.stack(maps, dim=1), logits.detach()


def weighted_sum(features: Features, weights: Weights) -> Map:
    """ReLU(sum_k w_k A_k)."""
    return torch.einsum("bk...,bk->b...", features, weights).relu_()


def gradcam_weights(features: Features, gradients: Features, logit: Float[Tensor, " batch"]) -> Weights:  # noqa: ARG001
    """Selvaraju et al. 2017, equation (1): w_k = mean over space of g."""
    return gradients.flatten(2).mean(2)


def gradcam_pp_weights(features: Features, gradients: Features, logit: Float[Tensor, " batch"]) -> Weights:  # noqa: ARG001
    """Chattopadhay et al. 2018, equation (19): w_k = sum of alpha relu(g), alpha = g^2 / (2 g^2 + (sum A) g^3).

    Divided by g^2, alpha is 1 / (2 + (sum A) g) where g is not 0: nothing underflows, and no epsilon is needed. The
    paper's y is exp(logit), which multiplies all weights of an image by one number and is left out.
    """
    positive = gradients.flatten(2).relu()
    denominator = 2 + features.flatten(2).sum(2, keepdim=True) * positive
    return torch.where(denominator != 0, positive / denominator, 0.0).sum(2)


def pytorch_grad_cam_pp_weights(
    features: Features,
    gradients: Features,
    logit: Float[Tensor, " batch"],  # noqa: ARG001
) -> Weights:
    """Grad-CAM++ as pytorch-grad-cam 1.5 computes it: 1e-6 in the denominator.

    Behind a mean over N places g is w / N, and g^2 is far below 1e-6: alpha is then g^2 * 1e6, and the weights are
    cubes of those of CAM.
    """
    g = gradients.flatten(2)
    total = features.flatten(2).sum(2, keepdim=True)
    alpha = g**2 / (2 * g**2 + total * g**3 + LEAST_OF_PYTORCH_GRAD_CAM)
    return (torch.where(g != 0, alpha, 0.0) * g.relu()).sum(2)


def torch_cam_pp_weights(features: Features, gradients: Features, logit: Float[Tensor, " batch"]) -> Weights:  # noqa: ARG001
    """Grad-CAM++ as torch-cam 0.5 computes it: alpha = g^2, without a denominator, because it divides a copy."""
    g = gradients.flatten(2)
    return (g**2 * g.relu()).sum(2)


def monai_pp_weights(features: Features, gradients: Features, logit: Float[Tensor, " batch"]) -> Weights:  # noqa: ARG001
    """Grad-CAM++ as MONAI computes it: sum of (A g^3) and 1e-7 in the denominator.

    Its factor exp(y), one number for all weights of an image, is left out.
    """
    return _weights_of_products(features, gradients, LEAST_OF_MONAI)


def wsmis_pp_weights(features: Features, gradients: Features, logit: Float[Tensor, " batch"]) -> Weights:
    """Grad-CAM++ as the code of Viniavskyi et al. 2020 computes it: MONAI's form, with 1e-8 and the gradient of exp(y).

    exp(y) does not cancel in it: it stands in g^3 once more than in g^2.
    """
    places = [1] * (gradients.ndim - 1)
    return _weights_of_products(features, gradients * logit.exp().reshape(-1, *places), LEAST_OF_WSMIS)


def _weights_of_products(features: Features, gradients: Features, least: float) -> Weights:
    """Weights with alpha = g^2 / (2 g^2 + sum (A g^3) + least), and 0 where g is 0."""
    g, a = gradients.flatten(2), features.flatten(2)
    squares = g**2
    denominator = 2 * squares + (squares * g * a).sum(2, keepdim=True)
    return (torch.where(squares > 0, squares / (denominator + least), squares) * g.relu()).sum(2)


WEIGHTS: dict[str, Callable[[Features, Features, Float[Tensor, " batch"]], Weights]] = {
    "gradcam": gradcam_weights,
    "gradcam++": gradcam_pp_weights,
    "gradcam++ pytorch-grad-cam": pytorch_grad_cam_pp_weights,
    "gradcam++ torch-cam": torch_cam_pp_weights,
    "gradcam++ monai": monai_pp_weights,
    "gradcam++ wsmis": wsmis_pp_weights,
}


def _map(features: Tensor, logits: Tensor, index: int, variant: str, *, last: bool) -> Tensor:
    if not 0 <= index < logits.shape[1]:
        raise ValueError(f"no class {index}; the network has {logits.shape[1]} logits, from 0")
    # the logit of an image depends on the features of that image alone, so the sum has the gradients of each
    (gradients,) = torch.autograd.grad(logits[:, index].sum(), features, retain_graph=not last)
    with torch.no_grad():
        weights = WEIGHTS[variant](features, gradients, logits[:, index])
        return weighted_sum(features.detach(), weights)


def _module(network: nn.Module, layer: nn.Module | str) -> nn.Module:
    known = dict(network.named_modules())
    if isinstance(layer, str):
        if layer not in known:
            raise ValueError(f"the network has no layer {layer!r}; it has {', '.join(list(known)[1:9])} ...")
        return known[layer]
    if all(module is not layer for module in known.values()):
        raise ValueError("the layer is not a module of the network")
    return layer


@contextmanager
def _features_kept(network: nn.Module, layer: nn.Module) -> Iterator[list[Tensor]]:
    """Cut the graph at a layer: its output becomes a leaf, and the parameters want no gradient."""
    kept: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        """A copy of the output that the rest of the network reads; the leaf is kept."""
        if not isinstance(output, Tensor):
            raise TypeError(f"the layer returns {type(output).__name__}; expected a tensor")
        kept.append(output.detach().requires_grad_())
        return kept[-1].clone()  # a later layer may work in place, which a leaf forbids

    wanting = [parameter for parameter in network.parameters() if parameter.requires_grad]
    hook = layer.register_forward_hook(cut)
    try:
        for parameter in wanting:
            parameter.requires_grad = False
        yield kept
    finally:
        hook.remove()
        for parameter in wanting:
            parameter.requires_grad = True
