"""Every loss of the studies, stated once.

Let ``z`` be the student's logits and ``t`` the teacher's, both ``[batch, classes]``; ``T`` the
temperature; ``u`` the student's states projected to the width of the teacher's states ``v``, both
``[batch, width]``. A batch consists of items: texts, or the tagged word pieces of some texts.

==========  ============================================================  ======================
``hard``    ``CE(z, y)``, y the gold label or the teacher's argmax        the usual one
``kl``      ``T^2 * KL(softmax(t/T) || softmax(z/T))``, mean over batch   Hinton et al. 2015
``mse``     ``(z - t)^2`` of raw logits, mean over batch and classes      Ba and Caruana 2014
``logits``  ``1/2 ||z - t||^2``, mean over the batch                      arXiv 1910.01769,
                                                                          2004.05686
``states``  ``mse``: ``(u - v)^2``, mean over batch and width;            arXiv 2004.05686: its
            ``kl``: ``KL(softmax(v) || softmax(u))``, mean over batch     code; its text, as we
                                                                          read it
==========  ============================================================  ======================

Libraries differ in the factor ``T^2``, in the divisor and in what they call KL; this table is what
holds here. The factor keeps the gradient's size independent of ``T``. Neither form nor temperature
of generation-distillation's own soft loss (arXiv 2002.00733) is known to us: the choice between
``kl`` and ``mse`` is ours, and both are measured. XtremeDistil's text has the KL divergence between
states, which are no distributions; a softmax over their width makes them distributions. Its
teacher's ``t`` is ``log(p / (1 - p))``, which explodes where p is near 1: here ``t`` are the raw
logits.
"""

from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn import functional as F

from gdlib.core.errors import BadSetting
from gdlib.learn.names import REPRESENTATION_LOSSES, SOFT_LOSSES

PARTS = ("hard", "soft", "representation")


def labelled_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy over the items that have a label; without any it is 0, with a gradient of 0.

    *Shape:* logits ``[items, classes]``, labels ``[items]`` (int64; -1: none) -> scalar.
    """
    labelled = labels >= 0
    if not labelled.any():
        return logits.sum() * 0.0
    return F.cross_entropy(logits[labelled], labels[labelled])


def soft_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """``T^2 * KL(teacher || student)``, summed over classes, mean over the batch ("batchmean").

    *Shape:* both ``[batch, classes]`` -> scalar, >= 0, zero where the two distributions are equal.
    """
    student = F.log_softmax(student_logits / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits / temperature, dim=-1)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


def logit_mse(student_logits: Tensor, teacher_logits: Tensor, _temperature: float = 1.0) -> Tensor:
    """Mean squared difference of raw logits, over batch and classes; it has no temperature.

    *Shape:* both ``[batch, classes]`` -> scalar.
    """
    return F.mse_loss(student_logits, teacher_logits)


def logit_regression(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Half the squared distance of raw logits, summed over classes, mean over the batch.

    *Shape:* both ``[batch, classes]`` -> scalar.
    """
    return 0.5 * (student_logits - teacher_logits).square().sum(dim=-1).mean()


def held_out_score(logits: Tensor, labels: Tensor) -> float:
    """What networks are chosen by, lower is better: the share of errors; between equal shares, the
    cross-entropy.

    Cross-entropy alone would choose a network trained on hard labels before it has learnt much,
    because such a network grows overconfident long before it stops getting better. That would make
    the hard arms, baselines among them, look weak.

    *Shape:* logits ``[items, classes]``, labels ``[items]``.
    """
    errors = (logits.argmax(dim=-1) != labels).float().mean().item()
    return errors + below_one(F.cross_entropy(logits.float(), labels).item()) / len(labels)


def below_one(loss: float) -> float:
    """A loss of 0 or more as a number below 1 that rises with it: it decides between equal counts
    of errors, and never between others.
    """
    return loss / (1 + loss)


def check_weights(**weights: float) -> None:
    """Raise :class:`BadSetting` if a weight is negative or all are 0."""
    if min(weights.values()) < 0 or not any(weights.values()):
        given = ", ".join(f"{name} = {weight}" for name, weight in weights.items())
        every = "both" if len(weights) == 2 else "all"
        raise BadSetting(f"{given}: expected >= 0, not {every} 0")


@dataclass(frozen=True)
class DistillationLoss:
    """``hard_weight * CE(z, y) + soft_weight * soft(z, t)`` over a batch in which not every text
    has a gold label.

    Args:
        soft: of :data:`gdlib.learn.names.SOFT_LOSSES`.
        temperature: T of the ``kl`` form; the ``mse`` form has none.
        hard_weight: of the gold cross-entropy, over the texts that have a label (label >= 0).
        soft_weight: of the soft loss, over all texts.

    Raises:
        UnknownName: no such soft loss.
        BadSetting: both weights are zero, a weight is negative, or the temperature not positive.
    """

    soft: str = "kl"
    temperature: float = 1.0
    hard_weight: float = 0.0
    soft_weight: float = 1.0

    def __post_init__(self) -> None:
        SOFT_LOSSES[self.soft]  # an unknown name is an error at once
        check_weights(hard_weight=self.hard_weight, soft_weight=self.soft_weight)
        if self.temperature <= 0:
            raise BadSetting(f"temperature = {self.temperature}: expected > 0")

    def __call__(
        self, student_logits: Tensor, teacher_logits: Tensor | None, labels: Tensor
    ) -> Tensor:
        """The loss of one batch.

        *Shape:* student_logits and teacher_logits ``[batch, classes]`` (None where ``soft_weight``
        is 0), labels ``[batch]``, -1 for a text without one -> scalar.
        """
        parts = []
        if self.soft_weight:
            soft = SOFT_LOSSES[self.soft](student_logits, teacher_logits, self.temperature)
            parts.append(self.soft_weight * soft)
        if self.hard_weight:
            parts.append(self.hard_weight * labelled_cross_entropy(student_logits, labels))
        return sum(parts)


GOLD_ONLY = DistillationLoss(hard_weight=1.0, soft_weight=0.0)
"""The loss of a student that has no teacher."""


@dataclass(frozen=True)
class StagedLoss:
    """``hard_weight * CE + representation_weight * states + soft_weight * logits``: XtremeDistil's
    joint loss.

    The weights are the paper's alpha, beta and gamma. A schedule's stage takes some of the three
    parts (:meth:`only`).

    Args:
        hard_weight: of the cross-entropy, over the items that have a label (label >= 0).
        representation_weight: of the states' loss, over all items.
        soft_weight: of the logit regression, over all items.
        representation: of :data:`gdlib.learn.names.REPRESENTATION_LOSSES`.

    Raises:
        UnknownName: no such representation loss.
        BadSetting: all weights are zero, or a weight is negative.
    """

    hard_weight: float = 1.0
    representation_weight: float = 1.0
    soft_weight: float = 1.0
    representation: str = "mse"

    def __post_init__(self) -> None:
        REPRESENTATION_LOSSES[self.representation]  # an unknown name is an error at once
        weights = dict(vars(self))
        weights.pop("representation")
        check_weights(**weights)

    def only(self, *parts: str) -> "StagedLoss":
        """The same with the weights of all other parts zero (``hard``, ``soft``,
        ``representation``).
        """
        return replace(self, **{f"{part}_weight": 0.0 for part in PARTS if part not in parts})

    def __call__(
        self,
        student_logits: Tensor,
        labels: Tensor,
        teacher_logits: Tensor | None = None,
        projected: Tensor | None = None,
        teacher_states: Tensor | None = None,
    ) -> Tensor:
        """The loss of one batch of items.

        *Shape:* both logits ``[items, classes]``, labels ``[items]`` (-1: none), projected and
        teacher_states ``[items, width]`` -> scalar. What a part with weight zero would read may be
        None.
        """
        parts = []
        if self.hard_weight:
            parts.append(self.hard_weight * labelled_cross_entropy(student_logits, labels))
        if self.soft_weight:
            parts.append(self.soft_weight * logit_regression(student_logits, teacher_logits))
        if self.representation_weight:
            states = REPRESENTATION_LOSSES[self.representation](projected, teacher_states)
            parts.append(self.representation_weight * states)
        return sum(parts)
