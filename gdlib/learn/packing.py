"""What comes before a product of matrices, done once: its weights in bf16, in the order in which a
processor takes them, and sizes for which it is prepared.

A product in bf16 begins with its weights being cast and put into blocks. Where they do not learn in
between, that is needed only once.
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
    uses = Counter(id(own) for _, own in network.named_parameters(remove_duplicate=False))
    kept: dict[nn.Linear, Tensor] = {}
    for layer in network.modules() if hardware.has_bf16() else ():
        if type(layer) is not nn.Linear or uses[id(layer.weight)] > 1:
            continue
        if not layer.weight.requires_grad:
            kept[layer] = layer.weight.data
            layer.weight.data = layer.weight.data.bfloat16()
    try:
        yield
    finally:
        for layer, weights in kept.items():
            layer.weight.data = weights.to(layer.weight.device)


def round_number(count: int) -> int:
    """The least number, not below ``count``, of those that rows of a product should have: 32 from
    one power of two to the next.

    oneDNN prepares a product anew for each size that it has not seen lately. Where hardly two
    batches have as many rows, as with a student's, a step takes 0.7 of the time with round numbers.
    """
    return count + -count % (1 << max(0, count.bit_length() - 6))
