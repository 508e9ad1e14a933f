"""An encoder's layers: which there are, which are kept, which learn; and where a model computes."""

from typing import Any

import numpy as np
from accelerate.state import PartialState
from torch import nn
from transformers import PreTrainedModel


def stack_of(network: PreTrainedModel) -> tuple[nn.Module, str, nn.ModuleList]:
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


def keep_layers(network: PreTrainedModel, number: int) -> None:
    """Keep ``number`` layers of an encoder, evenly spaced, the first and the last among them (one:
    the first), in place.
    """
    parent, name, stack = stack_of(network)
    chosen = np.linspace(0, len(stack) - 1, number).round().astype(int).tolist()
    setattr(parent, name, nn.ModuleList(stack[place] for place in chosen))
    network.config.num_hidden_layers = number


def freeze(network: PreTrainedModel, trained_layers: int, pooler: bool = True) -> None:
    """Let only the last so many layers of the encoder learn (0: all of it), and its ``pooler`` if
    that is what is read.
    """
    kept = {
        id(p) for layer in list(stack_of(network)[2])[-trained_layers:] for p in layer.parameters()
    }
    for name, parameter in network.base_model.named_parameters():
        parameter.requires_grad_(
            pooler if name.startswith("pooler") else not trained_layers or id(parameter) in kept
        )


def to_device(model: nn.Module) -> Any:
    """A model ready to be asked, on this process's device."""
    return model.to(PartialState().device).eval()
