"""Study 2 over seeds: what its comparison asks, and what the answers cost."""

from collections.abc import Iterator, Sequence

import pandas as pd

from gdlib.compare import tables
from gdlib.compare.tables import Comparison
from gdlib.learn.strategies import STRATEGIES
from gdlib.networks import costs as cost
from gdlib.studies.shared.compare import by_size, of_classifiers
from gdlib.studies.transfer.settings import Arm, Settings, arms
from gdlib.studies.transfer.study import TransferStudy

LENGTH = 32  # pieces a query, as in XtremeDistil
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
    """The names of the arms of some families, the main one before those that vary it."""
    return [
        arm.name
        for arm in arms(settings)
        if arm.family in families or (arm.name == settings.strategy)
    ]


def strategies(settings: Settings) -> list[str]:
    """The names of the strategies that were run as they are."""
    return [arm.name for arm in arms(settings) if arm.family == "strategy"]


def longest(settings: Settings) -> str:
    """The strategy of the most phases: those of the family ``steps`` take as many steps."""
    return max(strategies(settings), key=lambda name: STRATEGIES[name].phases)


def compared(settings: Settings) -> list[str]:
    """The arms that were trained with every student seed."""
    return [arm.name for arm in arms(settings) if arm.family != "grid"]


def comparison(settings: Settings) -> Comparison:
    """The study's questions; then the main strategy against all that change one thing of it."""
    main, longer = settings.strategy, longest(settings)
    others = [arm for arm in arms(settings) if arm.family not in ("strategy", "grid", "text")]
    asked = [(longer, arm.name) for arm in others if arm.family == "steps"]
    asked += [(main, arm.name) for arm in others if arm.family != "steps"]
    asked.append((f"{main}, as many real", f"{main}, generated"))
    return of_classifiers(ALONE, questions=(*QUESTIONS, *asked))


def by_steps(study: TransferStudy, overview: pd.DataFrame) -> pd.DataFrame:
    """What a strategy's accuracy costs: its row with ``steps`` taken, mean over student seeds."""
    names = [arm.name for arm in arms(study.settings) if arm.family in ("strategy", "steps")]
    taken = study.traces().groupby(["arm", "student_seed"])["step"].max().groupby("arm").mean()
    table = overview[overview["arm"].isin(names)]
    return table.merge(taken.rename("steps"), left_on="arm", right_index=True)


def shown(overview: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The rows of some arms, in their order, and the references."""
    rows = overview.set_index("arm", drop=False)
    chosen = rows.loc[[name for name in names if name in rows.index]]
    return pd.concat([chosen, overview[overview["panel"] == ""]], ignore_index=True)


def headline(settings: Settings, overview: pd.DataFrame) -> Iterator[tuple[str, float, str]]:
    """The key numbers of a corpus from the table of arms."""
    main = settings.strategy
    numbers = {"teacher accuracy": "teacher", "labels alone": ALONE, main: main}
    return tables.headline(overview, main, numbers)


def size_curve(settings: Settings, overview: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracy of the main strategy by number of transfer texts, and lines to read it against."""
    lines = overview["arm"].isin([ALONE, "teacher"])
    return overview[overview["arm"].isin(family(settings, "size"))], overview[lines]


def over_labels(study: TransferStudy) -> pd.DataFrame:
    """Accuracy by labels per class (``size``): labels alone, D1, the main strategy, references."""
    main = study.settings.strategy
    table = comparison(study.settings).sweep(by_size(study, "labels_per_class"))
    return table[table["arm"].isin([ALONE, "D1", main, "tfidf-lr", "teacher"])]


def traces(study: TransferStudy, names: Sequence[str]) -> pd.DataFrame:
    """The traces of some arms, of the first student seed."""
    table = study.traces()
    return table[
        table["arm"].isin(names) & (table["student_seed"] == study.settings.student_seeds[0])
    ]


def grid_arms(settings: Settings) -> list[Arm]:
    """The main arm and those of other E and H."""
    chosen = family(settings, "grid")
    return sorted(
        (arm for arm in arms(settings) if arm.name in chosen),
        key=lambda arm: (arm.embedding_dim, arm.hidden_dim),
    )


def costs(study: TransferStudy) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sizes and times of the teacher and of every size of student, on queries of 32 pieces in one
    run.

    What a student has learnt plays no part in its time, so that they are new ones.
    """
    networks = {arm.size: study.new_student(arm, 0) for arm in grid_arms(study.settings)}
    texts = study.splits.test.texts[: study.settings.queries]
    return cost.costs(study.teacher, study.vocabulary, networks, texts, repeats=1, length=LENGTH)


def grid(settings: Settings, sizes: pd.DataFrame, overview: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of the teacher and every size of student beside its cost.

    Columns: those of ``sizes``, value, low, high, compression (times fewer parameters than the
    teacher), retention (of its accuracy).
    """
    name_of = {arm.name: arm.size for arm in grid_arms(settings)} | {"teacher": "teacher"}
    rows = overview[overview["arm"].isin(name_of)]
    scores = rows.assign(name=rows["arm"].map(name_of))[["name", "value", "low", "high"]]
    table = sizes.merge(scores, on="name")
    teacher = table[table["name"] == "teacher"].iloc[0]
    return table.assign(
        compression=teacher["parameters"] / table["parameters"],
        retention=table["value"] / teacher["value"],
    )
