"""Which students are trained: strategies, shares of the transfer sentences, sizes, seeds."""

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
    s, seeds = settings, settings.student_seeds
    main = first_trial(s, s.main_strategy)
    names = list(dict.fromkeys((*s.strategies, s.main_strategy)))
    arms = [(first_trial(s, name), seeds) for name in names]
    for name in s.same_steps:
        called, steps = as_long(name, names, s.student_steps)
        # One that is given more steps takes them all.
        patience = s.patience if steps == s.student_steps else 0
        longer = replace(main, arm=called, strategy=name, steps=steps, patience=patience)
        arms.append((longer, seeds))
    for k in s.transfer_divisors:
        arms.append((replace(main, arm=f"{main.arm} /{k}", divisor=k), seeds))
    for size in s.grid:
        arms.append((first_trial(s, s.main_strategy, size), seeds[:1]))
    return [replace(trial, seed=seed) for trial, its_seeds in arms for seed in its_seeds]


def first_trial(settings: Settings, strategy: str, size: str = "") -> Trial:
    """A strategy's first student, of the settings' size or of another (``"64x96"``)."""
    s = settings
    e, h = sizes(size) if size else (s.embedding_dim, s.hidden_dim)
    return Trial(
        arm=f"{strategy} {size}".strip(),
        strategy=strategy,
        steps=s.student_steps,
        patience=s.patience,
        divisor=1,
        embedding_dim=e,
        hidden_dim=h,
        seed=s.student_seeds[0],
    )


def sizes(size: str) -> tuple[int, int]:
    """The dimensions E of the embeddings and H of a direction, of ``"64x96"``.

    Raises:
        BadSetting: it is no such size.
    """
    parts = size.split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) for part in parts):
        raise BadSetting(
            f'size "{size}" in grid: expected ExH such as 64x96 (embedding dimensions, width '
            "of a direction)"
        )
    return int(parts[0]), int(parts[1])
