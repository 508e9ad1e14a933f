"""Encoders: the state of a text, which layers there are and which learn, and on which device."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.state import PartialState
from torch import Tensor, nn

if TYPE_CHECKING:  # it takes as long to import as torch
    from transformers import PreTrainedModel


def first_state(states: Tensor, _mask: Tensor) -> Tensor:
    """The state at the first position.

    *Shape:* states ``[texts, length, width]``, mask ``[texts, length]`` -> ``[texts, width]``.
    """
    return states[:, 0]


def mean_state(states: Tensor, mask: Tensor) -> Tensor:
    """The mean state of the pieces that a mask marks.

    *Shape:* states ``[texts, length, width]``, mask ``[texts, length]`` -> ``[texts, width]``.
    """
    return (states * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def compared(u: Tensor, v: Tensor) -> Tensor:
    """``[u, v, |u - v|, u * v]``: what a head reads of two parts (Conneau et al. 2017).

    *Shape:* both ``[pairs, width]`` -> ``[pairs, 4 * width]``.
    """
    return torch.cat([u, v, (u - v).abs(), u * v], dim=-1)


def stack_of(network: "PreTrainedModel") -> tuple[nn.Module, str, nn.ModuleList]:
    """The list of an encoder's layers, the module that holds it and its name there.

    Raises:
        ValueError: the encoder has none of ``num_hidden_layers`` layers.
    """
    for parent in network.base_model.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == network.config.num_hidden_layers:
                return parent, name, child
    raise ValueError(
        f"{type(network).__name__} has no list of {network.config.num_hidden_layers} layers"
    )


def keep_layers(network: "PreTrainedModel", places: Sequence[int]) -> None:
    """Keep the layers at these places of an encoder alone, in place."""
    parent, name, stack = stack_of(network)
    setattr(parent, name, nn.ModuleList(stack[place] for place in places))
    network.config.num_hidden_layers = len(places)


def evenly(number: int, layers: int) -> list[int]:
    """The places of ``number`` of so many layers, evenly spaced, the first and the last among them
    (one: the first).
    """
    return np.linspace(0, layers - 1, number).round().astype(int).tolist()


def freeze(network: "PreTrainedModel", trained_layers: int, pooler: bool = True) -> None:
    """Let only the last so many layers of the encoder learn (0: all of it), and its ``pooler`` if
    that is what is read.
    """
    layers = list(stack_of(network)[2])[-trained_layers:]
    learning = {id(p) for layer in layers for p in layer.parameters()}
    for name, parameter in network.base_model.named_parameters():
        learns = not trained_layers or id(parameter) in learning
        parameter.requires_grad_(pooler if name.startswith("pooler") else learns)


def set_dropout(network: nn.Module, rate: float) -> None:
    """Set every dropout of a network that is built already."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate


def to_device(model: nn.Module) -> Any:
    """A model ready to be asked, on this process's device."""
    return model.to(PartialState().device).eval()
