"""Rules that combine the predictions of several teachers at masked positions.

Every rule gives weights to the teachers, position by position, and the mixture
``p = sum_m w_m p_m`` is what a student learns from. Let ``H_m`` be the entropy of teacher ``m`` at
a position and ``y`` the piece that was hidden there:

====================  ================================================  ==========================
``mean``              ``w_m = 1 / M``
``confidence``        ``w_m`` proportional to ``1 / H_m``               the surer, the heavier
``gold probability``  ``w_m`` proportional to ``p_m(y)``                needs the gold piece
``best teacher``      ``w_m = 1`` for the largest ``p_m(y)``            needs the gold piece
``gate``              ``w = softmax(A (H, log max p) + b)``, learnt on  blind to the gold piece
                      texts apart                                       when it weighs
====================  ================================================  ==========================

arXiv 2301.08130 says that predictions of several teachers are weighted by confidence; its formula
is not known to us, and this family is ours. In training all rules may see the gold piece (it is the
label); to judge a rule as a predictor only those that do not need it count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gdlib.learn.names import RULES
from gdlib.learn.predictions import Evidence, TopPieces

LEAST_ENTROPY = 1e-3  # nats: a teacher that is all but certain does not weigh infinitely more


def mean(seen: Evidence) -> Tensor:
    """All teachers alike.

    *Shape:* ``[teachers, positions]``, as for every rule; the sum over teachers is 1.
    """
    return torch.full_like(seen.entropy, 1 / len(seen.entropy))


def confidence(seen: Evidence) -> Tensor:
    """In proportion to the inverse entropy."""
    inverse = 1 / seen.entropy.clamp(min=LEAST_ENTROPY)
    return inverse / inverse.sum(dim=0)


def gold_probability(seen: Evidence) -> Tensor:
    """In proportion to the probability given to the gold piece."""
    return seen.gold.softmax(dim=0)


def best_teacher(seen: Evidence) -> Tensor:
    """The teacher that gives the gold piece most, alone; the first of equal ones."""
    return torch.zeros_like(seen.gold).scatter_(0, seen.gold.argmax(dim=0, keepdim=True), 1.0)


@dataclass(frozen=True)
class Gate:
    """A linear gate over all teachers' entropies and confidences.

    *Shape:* weight ``[teachers, 2 * teachers]``, bias ``[teachers]``.
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, seen: Evidence) -> Tensor:
        """The weights; blind to the gold piece."""
        features = torch.cat([seen.entropy, seen.confidence])
        return (self.weight @ features + self.bias[:, None]).softmax(dim=0)


def learn_gate(seen: Evidence, steps: int = 50, decay: float = 1e-3) -> Gate:
    """The gate under whose mixture the gold pieces of some positions are likeliest, weights kept
    small; starts as the mean.

    The positions are of texts that neither teachers nor students are trained on.
    """
    teachers = len(seen.entropy)
    weight = torch.zeros(teachers, 2 * teachers, requires_grad=True)
    bias = torch.zeros(teachers, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=steps, line_search_fn="strong_wolfe")

    def surprise() -> Tensor:
        optimizer.zero_grad()
        likelihood = combine(seen.gold, Gate(weight, bias)(seen)).mean()
        loss = decay * weight.square().sum() - likelihood
        loss.backward()
        return loss

    optimizer.step(surprise)
    return Gate(weight.detach(), bias.detach())


def gate(_seen: Evidence) -> Tensor:
    """The rule that has to be learnt first, see :func:`learn_gate`."""
    raise ValueError("the gate has to be learnt (learn_gate) before it is asked for")


def combine(log_probabilities: Tensor, weights: Tensor) -> Tensor:
    """The logarithm of the mixture.

    *Shape:* log_probabilities ``[teachers, positions, pieces]`` or, of one piece per position,
    ``[teachers, positions]``; weights ``[teachers, positions]`` -> the same without teachers.
    """
    logarithms = weights.clamp(min=1e-30).log()
    if log_probabilities.ndim > weights.ndim:
        logarithms = logarithms.unsqueeze(-1)
    return (log_probabilities + logarithms).logsumexp(dim=0)


def evidence_of(teachers: Sequence[TopPieces]) -> Evidence:
    """What the rules look at, of several teachers at the same positions."""
    return Evidence(
        torch.stack([teacher.entropy for teacher in teachers]),
        torch.stack([teacher.log_probabilities[:, 0] for teacher in teachers]),
        torch.stack([teacher.gold for teacher in teachers]),
    )


@dataclass(frozen=True)
class Mixture:
    """One or several teachers under a rule: the targets of a student.

    ``weights`` *Shape:* ``[teachers, positions]``.
    """

    teachers: tuple[TopPieces, ...]
    weights: Tensor

    def __call__(self, positions: Tensor) -> Tensor:
        """Log-probabilities at some positions.

        *Shape:* ``[number]`` -> ``[number, vocabulary]``.
        """
        dense = torch.stack([teacher.dense(positions) for teacher in self.teachers])
        return combine(dense, self.weights[:, positions])

    @property
    def gold(self) -> Tensor:
        """Log-probability of the gold piece. *Shape:* ``[positions]``."""
        return combine(torch.stack([teacher.gold for teacher in self.teachers]), self.weights)


def mixture(teachers: Mapping[str, TopPieces], arm: str, gate: Gate | None = None) -> Mixture:
    """The targets of an arm's students: a teacher alone (by its name), or all of them under a rule.

    Args:
        teachers: by name.
        arm: the name of a teacher or of a rule (:data:`gdlib.learn.names.RULES`).
        gate: what the rule ``gate`` has learnt.

    Raises:
        UnknownName: no such rule.
    """
    if arm in teachers:
        return Mixture((teachers[arm],), torch.ones(1, len(teachers[arm].gold)))
    rule = gate if arm == "gate" and gate else RULES[arm]
    together = tuple(teachers.values())
    return Mixture(together, rule(evidence_of(together)))
