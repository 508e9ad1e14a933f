"""Spinners: programs that put a text into other words, so that it passes for another one.

Three kinds: a dictionary's synonyms, a masked language model that fills in words it cannot see, and
rules that move sentences, clauses and function words. The first two leave names, numbers,
punctuation and the order of words as they are, the third one leaves content words. Each is a
function of its texts, its plan and the seed. Their names are in
:data:`gdlib.networks.names.SPINNERS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gdlib.networks.infilling import Infiller, fill_in
from gdlib.sources.structure import rebuilt
from gdlib.sources.words import content_words, replaceable, with_synonyms


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
    """A spinner.

    Args:
        spin: from texts, a plan, and what gives the network that it reads with, to the texts in
            other words, in their order.
        changes: whether it can change a text; others are not drawn.
        reads: whether it reads with a network.
    """

    spin: Callable[[Sequence[str], SpinPlan, Callable[[], Infiller]], list[str]]
    changes: Callable[[str], object]
    reads: bool = False


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


DICTIONARY = Spinner(
    lambda texts, plan, _: with_synonyms(texts, plan.synonym_every, plan.seed), replaceable
)
MASKED_LM = Spinner(by_infilling, content_words, reads=True)
STRUCTURE = Spinner(
    lambda texts, plan, _: rebuilt(texts, plan.seed), lambda text: rebuilt([text], 0) != [text]
)
