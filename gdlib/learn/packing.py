"""Weights as they are multiplied: in bf16, and in the order in which a processor takes them.

A product of matrices in bf16 begins with its weights being cast and put into blocks. Where they do
not learn in between, that is needed only once.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gdlib.core import hardware


def pack(network: nn.Module, packed_layers: list[nn.Linear]) -> None:
    """Let the linear layers of a network multiply in bf16 by weights that are put into blocks now,
    so that changes of the weights are not noticed until :func:`unpack`. Labelling takes 0.85 of the
    time, writing texts 0.9.

    A layer multiplies as torch does where it would not multiply in bf16: where a network switches
    autocast off.

    Args:
        packed_layers: gets each layer as it is packed. One that is packed already is left.
    """
    for layer in network.modules():
        if type(layer) is nn.Linear and "forward" not in vars(layer):
            blocks = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach().bfloat16())
            layer.forward = partial(product, layer, blocks)
            packed_layers.append(layer)


def unpack(packed_layers: list[nn.Linear]) -> None:
    """Let layers that :func:`pack` has changed multiply as torch does."""
    for layer in packed_layers:
        del layer.forward


@torch.no_grad()
def product(layer: nn.Linear, blocks: Tensor, inputs: Tensor) -> Tensor:
    """The answer of a layer, without a gradient. *Shape:* weights ``[outputs, inputs]`` in blocks,
    ``[..., inputs]`` -> ``[..., outputs]``.
    """
    cast = torch.is_autocast_enabled("cpu") and inputs.dtype == torch.float32
    if not (cast or inputs.dtype == torch.bfloat16):
        return F.linear(inputs, layer.weight, layer.bias)
    bias = None if layer.bias is None else layer.bias.bfloat16()
    return torch.ops.mkldnn._linear_pointwise(inputs.bfloat16(), blocks, bias, "none", [], "")


@contextlib.contextmanager
def packed(network: nn.Module) -> Iterator[None]:
    """:func:`pack` inside the block, if the network is on a processor that multiplies bf16 by
    oneDNN.
    """
    on_processor = next(network.parameters()).device.type == "cpu"
    can = on_processor and torch.backends.mkldnn.is_available() and hardware.has_bf16()
    layers: list[nn.Linear] = []
    try:
        if can:
            pack(network, layers)
        yield
    finally:
        unpack(layers)


@contextlib.contextmanager
def cast_once(network: nn.Module) -> Iterator[None]:
    """Inside the block the linear layers that do not learn hold bf16, where the hardware has it:
    what autocast makes of them at each step. To fine-tune by adapters takes 0.9 of the time.

    Weights that something else shares (an embedding) stay as they are.
    """
    layers = [each for each in network.modules() if type(each) is nn.Linear]
    uses = Counter(id(own) for each in network.modules() for own in each._parameters.values())
    kept = {
        layer: layer.weight.data
        for layer in layers
        if hardware.has_bf16() and not layer.weight.requires_grad and uses[id(layer.weight)] == 1
    }
    for layer, weights in kept.items():
        layer.weight.data = weights.bfloat16()
    try:
        yield
    finally:
        for layer, weights in kept.items():
            layer.weight.data = weights.to(layer.weight.device)
