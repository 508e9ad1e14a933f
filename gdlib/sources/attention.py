"""Attention written out as products of matrices, where that is faster than torch's fused one."""

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:  # it takes as long to import as torch
    from transformers import PreTrainedModel

NAME = "gdlib_written_out"
MOST_SCORES = 2**23
"""Of larger ones (32 MiB in float32) a process asks the system for the memory anew each time."""
NOT_HERE = ("position_bias", "softcap", "s_aux")
"""What some families add to their scores; torch's or transformers' own attention knows it."""


def attend_faster(network: "PreTrainedModel") -> None:
    """Let a network that would take torch's fused attention take :func:`attend`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    fused = network.config._attn_implementation == "sdpa" and network._supports_sdpa
    if fused and network._can_set_attn_implementation():
        AttentionInterface.register(NAME, attend)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        network.set_attn_implementation(NAME)


def is_faster(query: Tensor, key: Tensor) -> bool:
    """Whether attention is faster written out.

    On a processor it is for one new token per text (half of the time), and in bf16 with a gradient
    (an eighth to three quarters) or for short texts (a third to three quarters, of 8 to 64 pieces).
    """
    if query.device.type != "cpu":
        return False
    scores = query.shape[:3].numel() * key.shape[2]
    short = scores <= MOST_SCORES
    # Turned by its place a query is float32 again, and autocast multiplies it in bf16 all the same.
    cast = torch.is_autocast_enabled("cpu")
    in_bf16 = (torch.get_autocast_dtype("cpu") if cast else query.dtype) == torch.bfloat16
    return query.shape[2] == 1 or (in_bf16 and (torch.is_grad_enabled() or short))


def attend(
    module: nn.Module | None,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of transformers' interface; where it is not faster written out
    (:func:`is_faster`), or anything special is asked for, transformers' call of torch's fused one.

    *Shape:* query ``[texts, heads, new, width]``, key and value ``[texts, groups of heads, length,
    width]``, mask (bool: what is seen) ``[texts, 1, new, length]`` -> ``[texts, new, heads,
    width]``.
    """
    new, length = query.shape[2], key.shape[2]
    asked = others.get("is_causal")
    causal = (getattr(module, "is_causal", True) if asked is None else asked) and new > 1
    unmasked = attention_mask is None and causal
    special = any(others.get(name) is not None for name in NOT_HERE)
    special |= attention_mask is not None and attention_mask.dtype != torch.bool
    if special or (unmasked and new < length) or not is_faster(query, key):
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS as known

        given = {"scaling": scaling, "dropout": dropout, **others}
        return known["sdpa"](module, query, key, value, attention_mask, **given)
    if unmasked:
        attention_mask = torch.ones(1, 1, new, length, dtype=torch.bool).tril()
    grouped = query.unflatten(1, (key.shape[1], -1))  # [texts, groups, heads of one, new, width]
    inner = grouped.shape[2:4]
    scores = (grouped.flatten(2, 3) @ key.transpose(2, 3)).unflatten(2, inner).float()
    scores.mul_(scaling or 1 / math.sqrt(query.shape[-1]))
    if attention_mask is not None:
        unseen = ~attention_mask.unsqueeze(2)
        least = torch.finfo(scores.dtype).min
        scores.add_(torch.zeros(unseen.shape).masked_fill(unseen, least))
    weights = scores.softmax(dim=-1).to(value.dtype)
    if dropout:
        weights = F.dropout(weights, dropout)
    mixed = (weights.flatten(2, 3) @ value).unflatten(2, inner).flatten(1, 2)
    return mixed.transpose(1, 2).contiguous(), None
