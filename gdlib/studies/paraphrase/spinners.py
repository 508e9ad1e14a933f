"""Spinners: programs that put other words into a text, so that it passes for another one.

Two kinds: a dictionary's synonyms, and a masked language model that fills in words it cannot see.
Both leave names, numbers, punctuation and the order of words as they are, so that what they did can
be counted word by word. Each is a function of its texts, its plan and the seed. Their names are in
:data:`gdlib.studies.paraphrase.settings.SPINNERS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gdlib.core.errors import BadSetting
from gdlib.networks.infilling import Infiller, fill_in
from gdlib.sources.words import replaceable, rewrite
from gdlib.studies.paraphrase.settings import SPINNERS


@dataclass(frozen=True)
class SpinPlan:
    """How texts are spun; the knobs of the same names in the study's settings say more."""

    synonym_every: int
    filled_share: float
    filled_top: int
    filled_nearness: float
    seed: int


@dataclass(frozen=True)
class Spinner:
    """A spinner: ``spin(texts, plan, infiller)`` gives the texts in other words; ``reads``: with
    the network that ``infiller()`` gives.
    """

    spin: Callable[[Sequence[str], SpinPlan, Callable[[], Infiller]], list[str]]
    reads: bool


def by_dictionary(texts: Sequence[str], plan: SpinPlan, infiller: object = None) -> list[str]:
    """Every so manieth replaceable word becomes one of its synonyms
    (:mod:`gdlib.sources.synonyms`), at least one word a text.
    """
    spun = []
    for row, text in enumerate(texts):
        random, places = np.random.default_rng([plan.seed, row]), replaceable(text)
        first = int(random.integers(min(plan.synonym_every, max(1, len(places)))))
        chosen = places[first :: plan.synonym_every]
        changes = [(*word.span(), str(random.choice(others))) for word, others in chosen]
        spun.append(rewrite(text, changes))
    return spun


def by_infilling(
    texts: Sequence[str], plan: SpinPlan, infiller: Callable[[], Infiller]
) -> list[str]:
    """A share of the content words is hidden, and filled in with others
    (:mod:`gdlib.networks.infilling`).
    """
    return fill_in(
        texts,
        infiller(),
        share=plan.filled_share,
        top=plan.filled_top,
        nearness=plan.filled_nearness,
        seed=plan.seed,
    )


DICTIONARY = Spinner(by_dictionary, reads=False)
MASKED_LM = Spinner(by_infilling, reads=True)


def spin(
    name: str, texts: Sequence[str], plan: SpinPlan, infiller: Callable[[], Infiller]
) -> list[str]:
    """The texts in other words, in their order.

    Raises:
        UnknownName: no such spinner.
        BadSetting: a plan that changes nothing.
    """
    if plan.synonym_every < 1 or not 0 < plan.filled_share <= 1 or plan.filled_top < 1:
        raise BadSetting(
            f"synonym_every = {plan.synonym_every}, filled_share = {plan.filled_share}, "
            f"filled_top = {plan.filled_top}; "
            "expected 1 or more, a share above 0 up to 1, and 1 or more"
        )
    return SPINNERS[name].spin(texts, plan, infiller)
