"""Study 1 over seeds: what its comparison asks, and what the answers cost."""

from collections.abc import Iterator

import pandas as pd

from gdlib.compare.comparison import REFERENCES, means, pooled
from gdlib.compare.results import Results
from gdlib.networks import costs as cost
from gdlib.studies.generation.study import GenerationStudy

QUESTIONS = (
    ("generation-distillation", "labelled only"),
    ("generation-distillation", "distilled on labelled"),
    ("generation-distillation", "hard labels"),
    ("real unlabelled", "generation-distillation"),
    ("generated + real", "real unlabelled"),
)
"""(arm, other arm): the differences the study is about."""


def questions(results: Results) -> list[tuple[str, str]]:
    """The questions whose arms were run."""
    run = set(results.table["arm"])
    return [(one, other) for one, other in QUESTIONS if {one, other} <= run]


def answers(results: Results) -> pd.DataFrame:
    """One answer a question, averaged over the students: arm, against, difference, low, high, p,
    resolved, sentence.
    """
    rows = []
    for one, other in questions(results):
        d = pooled(results, one, other)
        row = {
            "arm": one,
            "against": other,
            "difference": d.mean,
            "low": d.low,
            "high": d.high,
            "p": d.p,
            "resolved": d.resolved,
        }
        rows.append(row | {"sentence": f"**{one}** minus **{other}**: {d.describe()}."})
    return pd.DataFrame(rows)


def headline(table: pd.DataFrame) -> Iterator[tuple[str, float, str]]:
    """The key numbers of a corpus from the table of arms: the teacher, the best
    generation-distillation, its retention.
    """
    at = table.set_index(["arm", "student"])
    main = table[table["arm"] == "generation-distillation"].sort_values("accuracy").iloc[-1]
    yield "teacher accuracy", at.loc[("teacher", "teacher"), "accuracy"], "share"
    yield "generation-distillation", main["accuracy"], "share"
    yield "retention", main["retention"], "share"
    yield (
        "times fewer parameters",
        at.loc[("teacher", "teacher"), "parameters"] / main["parameters"],
        "x",
    )


def size_curve(results: Results) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracy by number of generated texts, and the horizontal lines to read it against."""
    overview = means(results)
    curve = overview["arm"].str.match(r"generated /\d+$") | (
        overview["arm"] == "generation-distillation"
    )
    lines = overview["arm"].isin(["labelled only", "real unlabelled"]) | (
        overview["student"] == "teacher"
    )
    return overview[curve], overview[lines]


def over_labels(study: GenerationStudy) -> pd.DataFrame:
    """Accuracy by labels a class and arm, averaged over the students: labels_per_class, arm,
    accuracy.
    """
    s, tables = study.settings, []
    for labels in sorted({s.labels_per_class, *s.labels_sweep}):
        overview = means(study.over_seeds(labels_per_class=labels))
        name = overview["student"].where(overview["student"].isin(REFERENCES), overview["arm"])
        averaged = (
            overview.assign(arm=name, labels_per_class=labels)
            .groupby(["labels_per_class", "arm"], sort=False)["accuracy"]
            .mean()
        )
        tables.append(averaged.reset_index())
    table = pd.concat(tables, ignore_index=True)
    return table[~table["arm"].str.startswith("generated /") & (table["arm"] != "majority")]


def costs(study: GenerationStudy, texts: int = 256) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sizes and times of the teacher and of every student architecture, on real test texts."""
    networks = {name: study.student(name) for name in study.settings.students}
    return cost.costs(study.teacher, study.vocabulary, networks, study.splits.test.texts[:texts])


def quality(sizes: pd.DataFrame, overview: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of the teacher and of each student's main arm beside its size: one row a network."""
    main = overview[overview["arm"].isin(["teacher", "generation-distillation"])]
    return sizes.merge(
        main[["student", "accuracy", "low", "high"]].rename(columns={"student": "name"}), on="name"
    )
