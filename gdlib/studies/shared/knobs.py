"""Knobs that several studies have, beside those of :mod:`gdlib.studies.shared.settings`."""

import re
from collections.abc import Iterable
from typing import TypeVar

from gdlib.core.errors import BadSetting
from gdlib.core.settings import knob, settings_class
from gdlib.learn.names import REPRESENTATION_LOSSES, SOFT_LOSSES
from gdlib.learn.strategies import STRATEGIES
from gdlib.networks.names import EMBEDDINGS, PROJECTIONS

Names = tuple[str, ...]
Numbers = tuple[int, ...]
Found = TypeVar("Found")


COLDEST = 0.01
"""The least temperature: float32 cannot divide logits by much less."""


def items(text: str) -> tuple[str, ...]:
    """The items of a Markdown list (``- ...``), each on one line."""
    return tuple(" ".join(item.split()) for item in re.split(r"^\s*- ", text, flags=re.M)[1:])


def by_name(knobs: str, found: Iterable[tuple[str, Found]]) -> dict[str, Found]:
    """What was found for a list of names, by its name.

    Args:
        knobs: whose names they are.
        found: name and thing.

    Raises:
        BadSetting: two of one name, which tables could not tell apart.
    """
    named: dict[str, Found] = {}
    for name, each in found:
        if name in named:
            raise BadSetting(
                f'{knobs}: two are named "{name}"; name each once (or rename a folder)'
            )
        named[name] = each
    return named


@settings_class
class SweepSettings:
    """What the comparison of a study sweeps over."""

    corpora: Names = knob((), "compare", "corpora to sweep over; empty: just `corpus`")
    seeds: Numbers = knob((), "compare", "seeds to sweep over; empty: just `seed`")
    labels_sweep: Numbers = knob((), "compare", "other sizes of the labelled part to run, compare")


@settings_class
class StagedSettings:
    """A BiLSTM that learns labels, logits and states by a strategy of stages (XtremeDistil)."""

    strategies: Names = knob(
        tuple(STRATEGIES), "students", "what is compared first", STRATEGIES, some=True
    )
    embedding: str = knob(
        "svd",
        "students",
        "what its embedding starts from",
        EMBEDDINGS,
    )
    embedding_dim: int = knob(
        64,
        "students",
        "E, dimensions of the embeddings (the paper: 50 to 300)",
        least=1,
    )
    hidden_dim: int = knob(
        100, "students", "H, width of a direction (the paper: 100 to 600)", least=1
    )
    student_dropout: float = knob(0.2, "students", "on the embeddings and on the states", most=0.99)
    projection: str = knob(
        "linear", "students", "from its states to the teacher's, after the layer", PROJECTIONS
    )
    representation: str = knob(
        "mse", "students", "loss on states: mse, or kl of their softmax", REPRESENTATION_LOSSES
    )
    hard_weight: float = knob(1.0, "students", "alpha: weight of the gold labels")
    representation_weight: float = knob(1.0, "students", "beta: weight of the teacher's states")
    soft_weight: float = knob(1.0, "students", "gamma: weight of the teacher's logits")
    student_steps: int = knob(
        480,
        "students",
        "optimisation steps of a stage at most; with unfreezing, of each layer's turn",
        least=1,
    )
    patience: int = knob(
        5,
        "students",
        "looks without a better held-out score that end a turn (papers' code); 0: never",
    )
    student_lr: float = knob(5e-3, "students", "peak learning rate of a turn, cosine decay")
    student_batch: int = knob(64, "students", "texts per step", least=1)
    evaluate_every: int = knob(
        20, "students", "steps between two looks at the held-out score", least=1
    )
    student_seeds: Numbers = knob(
        (0, 1, 2), "students", "one student each: start, order and dropout", some=True
    )
    same_steps: Names = knob(
        (), "students", "strategies also run with as many steps in all as the longest", STRATEGIES
    )


@settings_class
class SoftSettings:
    """How a student learns from the logits of its teacher, and from gold labels."""

    soft_loss: str = knob("kl", "train", "kl (with temperature) or mse on logits", SOFT_LOSSES)
    temperature: float = knob(2.0, "train", "T of the kl loss", least=COLDEST)
    soft_weight: float = knob(1.0, "train", "weight of the teacher's logits")
    hard_weight: float = knob(0.5, "train", "weight of the gold labels beside them, if any")
