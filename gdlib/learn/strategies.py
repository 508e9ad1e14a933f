"""Schedules of distillation as data; nothing here loads torch.

A *strategy* is a row of *stages*; a stage says which losses it takes and on which items. With
gradual unfreezing every stage begins with the student's top layer alone and lets in one layer more
each time, without freezing one again. Every stage, and with unfreezing every layer's *phase* in it,
is a training of its own. XtremeDistil (arXiv 1910.01769, 2004.05686), its table of strategies::

    D0  labels                        D3.1  states | labels + logits
    D1  labels + logits, together     D3.2  the same, unfreezing
    D2  labels + logits + states      D4.1  states | logits | labels
                                      D4.2  the same, unfreezing

:func:`gdlib.learn.schedules.run` trains a student by any of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gdlib.core.registry import Registry

LAYERS = 3
"""Those of the recurrent student that are let in one by one: readout, BiLSTM, embedding."""


@dataclass(frozen=True)
class Stage:
    """One stage of a strategy.

    Args:
        losses: of ``hard``, ``soft``, ``representation``.
        items: ``labelled``, ``transfer``, or ``both``: labelled and unlabelled items in every
            batch.
        pseudo_labels: the teacher's most likely class stands in for the gold label where there is
            none.
    """

    losses: tuple[str, ...]
    items: str
    pseudo_labels: bool = False

    @property
    def name(self) -> str:
        """As a figure names it: ``labels + logits``."""
        names = {
            "hard": "pseudo-labels" if self.pseudo_labels else "labels",
            "soft": "logits",
            "representation": "states",
        }
        return " + ".join(names[loss] for loss in self.losses)


@dataclass(frozen=True)
class Strategy:
    """A row of stages. ``unfreezing``: gradual, top layer first, in every stage anew."""

    name: str
    stages: tuple[Stage, ...]
    unfreezing: bool = False
    help: str = ""

    @property
    def phases(self) -> int:
        """Trainings one after another, of a student of three layers."""
        return len(self.stages) * (LAYERS if self.unfreezing else 1)


LABELS, LOGITS, STATES = (
    Stage(("hard",), "labelled"),
    Stage(("soft",), "transfer"),
    Stage(("representation",), "transfer"),
)
LABELS_LOGITS = Stage(("hard", "soft"), "both")
TOGETHER = Stage(("hard", "soft", "representation"), "both")
UNFREEZING = "the same with gradual unfreezing in every stage"

STRATEGIES = Registry("strategy")
for entry in (
    Strategy("D0", (LABELS,), help="gold labels alone: no teacher"),
    Strategy("D1", (LABELS_LOGITS,), help="labels and logits together"),
    Strategy("D2", (TOGETHER,), help="labels, logits and states together"),
    Strategy("D3.1", (STATES, LABELS_LOGITS), help="states, then labels and logits"),
    Strategy("D3.2", (STATES, LABELS_LOGITS), True, UNFREEZING),
    Strategy("D4.1", (STATES, LOGITS, LABELS), help="states, then logits, then labels"),
    Strategy("D4.2", (STATES, LOGITS, LABELS), True, UNFREEZING),
    Strategy(
        "hard",
        (Stage(("hard",), "both", pseudo_labels=True),),
        help="gold labels, and the teacher's argmax where there is none",
    ),
):
    STRATEGIES.add(entry.name, entry, entry.help)


def as_long(name: str, names: Iterable[str], steps: int) -> tuple[str, int]:
    """A strategy given as many steps in all as the longest of some takes: what the arm is called,
    and its steps per phase.

    Args:
        name: of the strategy.
        names: of those that are compared.
        steps: of a phase of theirs.
    """
    longest = max((STRATEGIES[other] for other in names), key=lambda strategy: strategy.phases)
    return (
        f"{name}, as long as {longest.name}",
        steps * longest.phases // STRATEGIES[name].phases,
    )
