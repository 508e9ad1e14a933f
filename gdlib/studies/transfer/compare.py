"""Study 2 over seeds: what its comparison asks, and what the answers cost."""

from collections.abc import Iterator, Sequence

import pandas as pd

from gdlib.compare.comparison import REFERENCES, means
from gdlib.compare.results import Results
from gdlib.learn.schedules import STRATEGIES
from gdlib.networks import costs as cost
from gdlib.studies.transfer.settings import Arm, Settings, arms
from gdlib.studies.transfer.study import STUDENT, TransferStudy

LENGTH = 32  # pieces a query, as in XtremeDistil

QUESTIONS = (
    ("D1", "D0"),
    ("D1", "hard"),
    ("D2", "D1"),
    ("D3.1", "D1"),
    ("D3.2", "D3.1"),
    ("D4.1", "D3.1"),
    ("D4.2", "D4.1"),
    ("D4.2", "D0"),
)
"""(arm, other arm): do logits help, soft against hard, states beside them, stages, unfreezing."""


def family(settings: Settings, *families: str) -> list[str]:
    """The names of the arms of some families, the main one before those that vary it."""
    return [
        arm.name
        for arm in arms(settings)
        if arm.family in families or (arm.name == settings.strategy)
    ]


def strategies(settings: Settings) -> list[str]:
    return [arm.name for arm in arms(settings) if arm.family == "strategy"]


def longest(settings: Settings) -> str:
    """The strategy of the most turns: those of the family ``steps`` take as many steps."""
    return max(strategies(settings), key=lambda name: STRATEGIES[name].turns)


def by_steps(study: TransferStudy, overview: pd.DataFrame) -> pd.DataFrame:
    """What a strategy's accuracy costs: name, steps (taken, mean over student seeds), accuracy,
    low, high, parameters.
    """
    names = [arm.name for arm in arms(study.settings) if arm.family in ("strategy", "steps")]
    taken = (
        study.traces()
        .groupby(["arm", "student_seed"])["step"]
        .max()
        .groupby("arm")
        .mean()
        .rename("steps")
    )
    sizes = study.results().table.groupby("arm")["parameters"].first()
    table = (
        overview[overview["arm"].isin(names)]
        .merge(taken, left_on="arm", right_index=True)
        .merge(sizes, left_on="arm", right_index=True)
    )
    return table.rename(columns={"arm": "name"})[
        ["name", "steps", "accuracy", "low", "high", "parameters"]
    ]


def compared(settings: Settings) -> list[str]:
    """The arms that were trained with every student seed."""
    return [arm.name for arm in arms(settings) if arm.family != "grid"]


def questions(settings: Settings) -> list[tuple[str, str]]:
    """The questions whose arms were run; then every other arm against the main one."""
    run = strategies(settings)
    more = [
        (settings.strategy, arm.name)
        for arm in arms(settings)
        if arm.family not in ("strategy", "steps", "grid", "text")
    ]
    long = [(longest(settings), arm.name) for arm in arms(settings) if arm.family == "steps"]
    texts = [name for name in (f"{settings.strategy}, as many real",) if name in compared(settings)]
    generated = f"{settings.strategy}, generated"
    asked = [(one, other) for one, other in QUESTIONS if {one, other} <= set(run)] + long + more
    return asked + [(real, generated) for real in texts]


def shown(overview: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The rows of some arms, in their order, and the references."""
    chosen = overview[overview["arm"].isin(names)].copy()
    chosen = chosen.sort_values(
        "arm", key=lambda column: column.map({name: i for i, name in enumerate(names)})
    )
    return pd.concat([chosen, overview[overview["student"].isin(REFERENCES)]], ignore_index=True)


def headline(settings: Settings, table: pd.DataFrame) -> Iterator[tuple[str, float, str]]:
    """The key numbers of a corpus from the table of arms."""
    at = table.set_index("arm")
    teacher, main = at.loc["teacher"], at.loc[settings.strategy]
    yield "teacher accuracy", teacher["accuracy"], "share"
    if "D0" in at.index:
        yield "labels alone", at.loc["D0", "accuracy"], "share"
    yield settings.strategy, main["accuracy"], "share"
    yield "retention", main["retention"], "share"
    yield "times fewer parameters", teacher["parameters"] / main["parameters"], "x"


def size_curve(settings: Settings, overview: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracy of the main strategy by number of transfer texts, and the lines to read it against."""
    lines = overview["arm"].eq("D0") | (overview["student"] == "teacher")
    return overview[overview["arm"].isin(family(settings, "size"))], overview[lines]


def over_labels(study: TransferStudy) -> pd.DataFrame:
    """Accuracy by labels a class: labels_per_class, arm (labels, D1, the main strategy,
    references), accuracy, low, high.
    """
    s, tables = study.settings, []
    for labels in sorted({s.labels_per_class, *s.labels_sweep}):
        overview = shown(means(study.over_seeds(labels_per_class=labels)), ["D0", "D1", s.strategy])
        name = overview["student"].where(overview["student"].isin(REFERENCES), overview["arm"])
        tables.append(overview.assign(arm=name, labels_per_class=labels))
    table = pd.concat(tables, ignore_index=True)
    return table[table["arm"] != "majority"]


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

    Columns: name, parameters, bytes, megaflops, accuracy, low, high, compression (times fewer
    parameters than the teacher), retention (of its accuracy).
    """
    name_of = {arm.name: arm.size for arm in grid_arms(settings)} | {"teacher": "teacher"}
    rows = overview[overview["arm"].isin(name_of)]
    said = rows.assign(name=rows["arm"].map(name_of))[["name", "accuracy", "low", "high"]]
    table = sizes.merge(said, on="name")
    teacher = table[table["name"] == "teacher"].iloc[0]
    return table.assign(
        compression=teacher["parameters"] / table["parameters"],
        retention=table["accuracy"] / teacher["accuracy"],
    )


def main_student_rows(results: Results, settings: Settings) -> pd.DataFrame:
    """The rows of the main arm: one a student seed (and seed)."""
    return results.rows(STUDENT, settings.strategy)
