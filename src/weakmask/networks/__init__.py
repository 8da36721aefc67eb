"""Networks: `torch.nn` modules that map images to logits; they know no losses and no files."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from weakmask.networks.ad3d_mil import AD3DMIL
from weakmask.networks.backbones import BackboneClassifier
from weakmask.networks.classifiers import EncoderClassifier, RegionClassifier
from weakmask.networks.decovnet import DeCoVNet
from weakmask.networks.deeplab import DeepLabV3, DeepLabV3Plus
from weakmask.networks.dense_v_net import DenseVNet
from weakmask.networks.encoder_unet import EncoderUNet
from weakmask.networks.instance_network import InstanceNetwork
from weakmask.networks.pdv_net import PDVNet
from weakmask.networks.refined_unet import RefinedUNet
from weakmask.networks.res_unet import ResUNetH, ResUNetR
from weakmask.networks.unet import UNet
from weakmask.networks.v_net import VNet

NETWORKS: dict[str, type[nn.Module]] = {
    "ad3d_mil": AD3DMIL,
    "backbone_classifier": BackboneClassifier,
    "decovnet": DeCoVNet,
    "deeplab_v3": DeepLabV3,
    "deeplab_v3_plus": DeepLabV3Plus,
    "dense_v_net": DenseVNet,
    "encoder_classifier": EncoderClassifier,
    "encoder_unet": EncoderUNet,
    "instance_network": InstanceNetwork,
    "pdv_net": PDVNet,
    "refined_unet": RefinedUNet,
    "region_classifier": RegionClassifier,
    "res_unet_h": ResUNetH,
    "res_unet_r": ResUNetR,
    "unet": UNet,
    "v_net": VNet,
}


def build_network(name: str, arguments: Mapping[str, object]) -> nn.Module:
    """Build a network from its name and the arguments that a configuration or a weights file records.

    Raises:
        ValueError: The name or an argument is unknown, or a value is out of range.
    """
    if name not in NETWORKS:
        raise ValueError(f"network {name!r} is unknown, expected one of {', '.join(NETWORKS)}")
    try:
        return NETWORKS[name](**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"network {name!r} cannot be built from {dict(arguments)}: {error}") from error


def network_with(name: str, arguments: Mapping[str, object], weights: Mapping[str, Tensor]) -> nn.Module:
    """Build a network and give it weights, after a check without memory that they are its own.

    Args:
        name: As for `build_network`.
        arguments: Likewise.
        weights: A state dict.

    Raises:
        ValueError: The name or an argument is unknown or out of range, or the weights are those of another network.
    """
    with torch.device("meta"):  # has shapes and no voxels: the arguments may ask for any size
        expected = {key: value.shape for key, value in build_network(name, arguments).state_dict().items()}
    given = {key: value.shape for key, value in weights.items()}
    for key in [*expected, *given]:
        if expected.get(key) != given.get(key):
            came, wanted = (tuple(shapes[key]) if key in shapes else None for shapes in (given, expected))
            raise ValueError(f"{name} has {key} of shape {wanted}, the weights {came}")
    network = build_network(name, arguments)
    network.load_state_dict(dict(weights))
    return network
