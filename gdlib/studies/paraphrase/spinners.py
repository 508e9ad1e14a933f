"""Spinners: programs that put other words into a text, so that it passes for another one.

Two kinds: a dictionary's synonyms, and a masked language model that fills in words it cannot see.
Both leave names, numbers, punctuation and the order of words as they are, so that what they did can
be counted word by word. Each is a function of its texts, its plan and the seed. Their names are in
:data:`gdlib.studies.paraphrase.settings.SPINNERS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gdlib.core.errors import BadSetting
from gdlib.networks.infilling import Infiller, fill_in
from gdlib.sources.words import with_synonyms
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


def by_dictionary(texts: Sequence[str], plan: SpinPlan, _: object) -> list[str]:
    """Words become one of their synonyms (:func:`gdlib.sources.words.with_synonyms`)."""
    return with_synonyms(texts, plan.synonym_every, plan.seed)


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
