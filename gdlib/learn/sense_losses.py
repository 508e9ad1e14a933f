"""What training on senses minimises: over pairs of a sentence and a gloss, or over an instance's
candidates together.

==============  =================================================   ===============================
``pairs``       ``CE(z, y)`` of each pair's two logits z, y         Wahle et al. 2021 (LMGC)
                whether its gloss is the right one
``candidates``  ``-log sum_{k right} softmax_k(z_1 - z_0)`` over    ours, for pairs; Blevins and
                the candidates of one instance, mean over           Zettlemoyer 2020 for vectors
                instances
==============  =================================================   ===============================

The second is about the answer itself, the best of an instance's candidates, and not about how right
each is alone. Learning from a teacher takes :class:`gdlib.learn.losses.DistillationLoss` over the
two logits of a pair, or over the candidates' log-odds.
"""

from dataclasses import replace

import torch
from torch import Tensor

from gdlib.learn.losses import DistillationLoss, logit_mse

# score of a candidate that an instance hasn't: softmax gives it 0, and 0 times its logarithm is 0
NONE = -1e4


def choice_loss(scores: Tensor, right: Tensor) -> Tensor:
    """``-log P(a right candidate)``, mean over the instances that have one.

    *Shape:* both ``[instances, candidates]``, scores :data:`NONE` (or minus infinity) where an
    instance has fewer -> scalar.
    """
    surprise = scores.logsumexp(-1) - scores.masked_fill(~right, NONE).logsumexp(-1)
    kept = right.any(-1)
    return surprise[kept].sum() / kept.sum().clamp(min=1)


def pairs_loss(
    logits: Tensor,
    labels: Tensor,
    _instance: Tensor,
    mixture: DistillationLoss,
    teacher: Tensor | None = None,
) -> Tensor:
    """The loss of every pair by itself; arguments as of :func:`candidates_loss`."""
    return mixture(logits, teacher, labels)


def candidates_loss(
    logits: Tensor,
    labels: Tensor,
    instance: Tensor,
    mixture: DistillationLoss,
    teacher: Tensor | None = None,
) -> Tensor:
    """The loss of the candidates of each instance together.

    Args:
        logits: wrong, right. *Shape:* ``[pairs, 2]``; those of one instance stand side by side.
        labels: 1 where the gloss is right. *Shape:* ``[pairs]``.
        instance: a number for each instance. *Shape:* ``[pairs]``.
        mixture: weights of gold labels and of the teacher's logits, and the soft loss.
        teacher: its logits. *Shape:* ``[pairs, 2]``.
    """
    odds = in_rows(logits[:, 1] - logits[:, 0], instance, NONE)
    total = mixture.hard_weight * choice_loss(odds, in_rows(labels.bool(), instance, False))
    if mixture.soft_weight and teacher is not None:
        if mixture.soft == "mse":  # a mean over the candidates that there are
            own, others = logits[:, 1] - logits[:, 0], teacher[:, 1] - teacher[:, 0]
            return total + mixture.soft_weight * logit_mse(own, others)
        teacher_odds = in_rows(teacher[:, 1] - teacher[:, 0], instance, NONE)
        total = total + replace(mixture, hard_weight=0.0)(odds, teacher_odds, labels)
    return total


def in_rows(values: Tensor, instance: Tensor, fill: float | bool) -> Tensor:
    """Values of pairs as a row an instance, filled up on the right.

    *Shape:* both ``[pairs]`` -> ``[instances, most candidates]``.
    """
    _, row, counts = instance.unique_consecutive(return_inverse=True, return_counts=True)
    column = torch.arange(len(values), device=values.device) - (counts.cumsum(0) - counts)[row]
    out = values.new_full((len(counts), int(counts.max())), fill)
    out[row, column] = values
    return out
