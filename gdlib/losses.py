"""Floor 2. Every loss of the study, stated once.

Let ``z`` be the student's logits and ``t`` the teacher's, both ``[batch, classes]``; ``T`` the temperature.

==============  ==========================================================================  ===================
``hard``        ``CE(z, y)``, y the gold label or the teacher's argmax                      the usual one
``kl``          ``T^2 * KL(softmax(t/T) || softmax(z/T))``, mean over the batch             Hinton et al. 2015
``mse``         ``mean over batch and classes of (z - t)^2``, on raw logits                 Ba and Caruana 2014
==============  ==========================================================================  ===================

Libraries differ in the factor ``T^2``, in the divisor and in what they call KL; this table is what holds here. The
factor keeps the gradient's size independent of ``T``. Neither form nor temperature of generation-distillation's own
soft loss (arXiv 2002.00733) is known to us: the choice between ``kl`` and ``mse`` is ours, and both are measured.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from gdlib.errors import BadSetting, unknown

SOFT_LOSSES = ("kl", "mse")


def hard_cross_entropy(student_logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with class indices.

    *Shape:* student_logits ``[batch, classes]``, labels ``[batch]`` (int64) -> scalar.
    """
    return F.cross_entropy(student_logits, labels)


def soft_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """``T^2 * KL(teacher || student)``, summed over classes, mean over the batch ("batchmean").

    *Shape:* both ``[batch, classes]`` -> scalar, >= 0, zero where the two distributions are equal.
    """
    student = F.log_softmax(student_logits / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits / temperature, dim=-1)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


def logit_mse(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Mean squared difference of raw logits, over batch and classes.

    *Shape:* both ``[batch, classes]`` -> scalar.
    """
    return F.mse_loss(student_logits, teacher_logits)


@dataclass(frozen=True)
class DistillationLoss:
    """``hard_weight * CE(z, y) + soft_weight * soft(z, t)`` over a batch in which not every text has a gold label.

    Args:
        soft: ``"kl"`` or ``"mse"``.
        temperature: T of the ``kl`` form; the ``mse`` form has none.
        hard_weight: weight of the gold cross-entropy, over the texts that have a label (label >= 0).
        soft_weight: weight of the soft loss, over all texts.

    Raises:
        UnknownName: no such soft loss.
        BadSetting: both weights zero, one negative, or a temperature that is not positive.
    """

    soft: str = "kl"
    temperature: float = 1.0
    hard_weight: float = 0.0
    soft_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.soft not in SOFT_LOSSES:
            raise unknown("soft loss", self.soft, SOFT_LOSSES)
        if min(self.hard_weight, self.soft_weight) < 0 or self.hard_weight + self.soft_weight == 0:
            raise BadSetting(f"hard_weight = {self.hard_weight}, soft_weight = {self.soft_weight}: expected >= 0, not both 0")
        if self.temperature <= 0:
            raise BadSetting(f"temperature = {self.temperature}: expected > 0")

    def __call__(self, student_logits: Tensor, teacher_logits: Tensor | None, labels: Tensor) -> Tensor:
        """The loss of one batch.

        *Shape:* student_logits and teacher_logits ``[batch, classes]`` (None where ``soft_weight`` is 0),
        labels ``[batch]``, -1 for a text without one -> scalar.
        """
        total = student_logits.new_zeros(())
        if self.soft_weight:
            total = total + self.soft_weight * self._soft(student_logits, teacher_logits)
        labelled = labels >= 0
        if self.hard_weight and bool(labelled.any()):
            total = total + self.hard_weight * hard_cross_entropy(student_logits[labelled], labels[labelled])
        return total

    def _soft(self, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
        if self.soft == "mse":
            return logit_mse(student_logits, teacher_logits)
        return soft_kl(student_logits, teacher_logits, self.temperature)
