"""Which students are trained: strategies, shares of the transfer sentences, sizes, seeds."""

import re
from dataclasses import dataclass, field, replace

from gdlib.core.errors import BadSetting
from gdlib.learn.strategies import as_long
from gdlib.studies.tagging.settings import Settings


@dataclass(frozen=True)
class Trial:
    """One student to train.

    Args:
        arm: as it stands in every table and figure.
        strategy: its name.
        steps: of a turn.
        patience: looks without a better held-out score after which a turn ends; 0: never.
        divisor: of the transfer sentences one in so many is used.
        embedding_dim: E.
        hidden_dim: H.
        seed: the student's.
    """

    arm: str = field(metadata={"label": True})
    strategy: str
    steps: int
    patience: int
    divisor: int
    embedding_dim: int
    hidden_dim: int
    seed: int


def trials_of(settings: Settings) -> list[Trial]:
    """Every strategy and every share of the transfer sentences with every student seed; the other
    sizes with the first.
    """
    s = settings
    names = list(dict.fromkeys((*s.strategies, s.main_strategy)))
    arms, main = [first_trial(s, name) for name in names], first_trial(s, s.main_strategy)
    for name in s.same_steps:
        called, steps = as_long(name, names, s.student_steps)
        # One that is given more steps takes them all.
        patience = s.patience if steps == s.student_steps else 0
        arms.append(replace(main, arm=called, strategy=name, steps=steps, patience=patience))
    arms += [replace(main, arm=f"{main.arm} /{k}", divisor=k) for k in s.transfer_divisors]
    trials = [replace(arm, seed=seed) for arm in arms for seed in s.student_seeds]
    return trials + [first_trial(s, s.main_strategy, size) for size in s.grid]


def first_trial(settings: Settings, strategy: str, size: str = "") -> Trial:
    """A strategy's first student, of the settings' size or of another (``"64x96"``)."""
    s = settings
    e, h = dimensions(size) if size else (s.embedding_dim, s.hidden_dim)
    arm = f"{strategy} {size}".strip()
    return Trial(arm, strategy, s.student_steps, s.patience, 1, e, h, s.student_seeds[0])


def dimensions(size: str) -> tuple[int, int]:
    """The dimensions E of the embeddings and H of a direction, of ``"64x96"``.

    Raises:
        BadSetting: it is no such size.
    """
    numbers = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", size)
    if numbers is None:
        raise BadSetting(
            f'size "{size}" in grid: expected ExH such as 64x96 (embedding dimensions, width '
            "of a direction)"
        )
    return int(numbers[1]), int(numbers[2])
