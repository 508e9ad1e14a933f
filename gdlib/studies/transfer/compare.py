"""Study 2 over seeds: what its comparison asks, and what the answers cost."""

from collections.abc import Sequence

import pandas as pd

from gdlib.compare.tables import TEACHER, Comparison
from gdlib.learn.strategies import STRATEGIES
from gdlib.studies.shared.compare import OPENINGS, by_size, in_sentences, of_classifiers
from gdlib.studies.transfer.settings import Arm, Settings, arms
from gdlib.studies.transfer.study import TransferStudy

ALONE = "D0"

QUESTIONS = (
    ("D1", ALONE),
    ("D1", "hard"),
    ("D2", "D1"),
    ("D3.1", "D1"),
    ("D3.2", "D3.1"),
    ("D4.1", "D3.1"),
    ("D4.2", "D4.1"),
    ("D4.2", ALONE),
)
"""Do logits help, soft against hard, states beside them, stages, unfreezing."""


def family(settings: Settings, *families: str) -> list[str]:
    """The names of the arms of some families, and the main one."""
    return [arm.name for arm in arms(settings) if arm.family in families or _is_main(settings, arm)]


def _is_main(settings: Settings, arm: Arm) -> bool:
    return arm.name == settings.strategy


def comparison(settings: Settings) -> Comparison:
    """The study's questions; then the longest strategy against those given as many steps, and the
    main one against all that change one thing of it.
    """
    main, strategies = settings.strategy, family(settings, "strategy")
    longest = max(strategies, key=lambda name: STRATEGIES[name].phases)
    asked = [
        (longest if arm.family == "steps" else main, arm.name)
        for arm in arms(settings)
        if arm.family not in ("strategy", "grid", "text")
    ]
    asked.append((f"{main}, as many real", f"{main}, generated"))
    return of_classifiers(ALONE, questions=(*QUESTIONS, *asked))


def abstract(study: TransferStudy, overview: pd.DataFrame, answers: pd.DataFrame) -> str:
    """What the comparison found, in sentences: of the main strategy, then of its parts."""
    settings, rows = study.settings, overview.set_index("arm")
    main = rows.loc[settings.strategy]
    lead = (
        f"On {settings.corpus}, with {settings.labels_per_class} labels per class, a BiLSTM of "
        f"{main['parameters'] / 1e6:.1f} million parameters that is taught by {settings.strategy}"
    )
    return in_sentences(lead, main, rows.loc[TEACHER], answers, OPENINGS)


def by_steps(study: TransferStudy, overview: pd.DataFrame) -> pd.DataFrame:
    """What a strategy's accuracy costs: its row with ``steps`` taken, mean over student seeds."""
    names = family(study.settings, "strategy", "steps")
    taken = study.traces().groupby(["arm", "student_seed"])["step"].max().groupby("arm").mean()
    table = overview[overview["arm"].isin(names)]
    return table.merge(taken.rename("steps"), left_on="arm", right_index=True)


def shown(overview: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The rows of some arms, in their order, and the references."""
    rows = overview.set_index("arm", drop=False)
    chosen = rows.loc[[name for name in names if name in rows.index]]
    return pd.concat([chosen, overview[overview["panel"] == ""]], ignore_index=True)


def over_labels(study: TransferStudy) -> pd.DataFrame:
    """Accuracy by labels per class (``size``): labels alone, D1, the main strategy, references."""
    main = study.settings.strategy
    table = study.kept(comparison(study.settings).sweep, by_size(study, "labels_per_class"))
    return table[table["arm"].isin([ALONE, "D1", main, "tfidf-lr", TEACHER])]


def _grid_arms(settings: Settings) -> list[Arm]:
    """The main arm and those of other E and H, the smallest first."""
    chosen = [arm for arm in arms(settings) if arm.family == "grid" or _is_main(settings, arm)]
    return sorted(chosen, key=lambda arm: (arm.embedding_dim, arm.hidden_dim))


def costs(study: TransferStudy) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sizes and times of the teacher and of every size of student, in one run."""
    arms = {arm.size: arm for arm in _grid_arms(study.settings)}
    return study.costs(arms, study.splits.test.texts[: study.settings.queries])


def grid(settings: Settings, sizes: pd.DataFrame, overview: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of the teacher and every size of student beside its cost.

    Columns: those of ``sizes``, value, low, high, compression (times fewer parameters than the
    teacher), retention (of its accuracy).
    """
    size_of = {arm.name: arm.size for arm in _grid_arms(settings)} | {TEACHER: TEACHER}
    scores = overview.assign(name=overview["arm"].map(size_of))[["name", "value", "low", "high"]]
    table = sizes.merge(scores, on="name")
    teacher = table.set_index("name").loc[TEACHER]
    return table.assign(
        compression=teacher["parameters"] / table["parameters"],
        retention=table["value"] / teacher["value"],
    )
