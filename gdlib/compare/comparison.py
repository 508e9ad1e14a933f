"""The tables that compare arms over seeds, with paired intervals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gdlib.compare import f1_stats, stats
from gdlib.compare.results import Results
from gdlib.compare.wording import counted

OVERVIEW_RESAMPLES = 1999  # a table of a hundred intervals; the study's questions get all 9,999
REFERENCES = {"majority": "baseline", "tfidf-lr": "baseline", "teacher": "teacher"}


Place = tuple[str, str]
"""A student (or reference) and its arm."""


def difference(
    results: Results, one: Place, other: Place, resamples: int = 9999
) -> stats.Difference:
    """Accuracy of ``one`` minus that of ``other``, paired."""
    return stats.paired_difference(*results.paired(one, other), resamples=resamples)


def f1_difference(
    results: Results, one: Place, other: Place, resamples: int = 1999
) -> stats.Difference:
    """Macro-F1 of ``one`` minus that of ``other``, paired by seed and student seed."""
    classes = int(max(results.gold.max(), results.predicted.max())) + 1
    a, b = (
        results.predicted[results.rows(*place).sort_values(["seed", "student_seed"]).index]
        for place in (one, other)
    )
    return f1_stats.paired_f1_difference(results.gold, a, b, classes, resamples=resamples)


def units(results: Results) -> str:
    """What the means are over, in words."""
    seeds, student_seeds = (
        results.table["seed"].nunique(),
        results.table["student_seed"][results.table["student_seed"] >= 0].nunique(),
    )
    return f"{counted(seeds, 'seed')} x {counted(student_seeds, 'student seed')}"


def seeds_shown(results: Results) -> int:
    """How many units of randomness the intervals over seeds have."""
    seeds = results.table["seed"].nunique()
    return (
        seeds
        if seeds > 1
        else results.table["student_seed"][results.table["student_seed"] >= 0].nunique()
    )


def arms_table(
    results: Results, labels_only: str = "labelled only", arms: Sequence[str] | None = None
) -> pd.DataFrame:
    """Every arm over seeds: means, the accuracy's interval, retention, and the paired differences.

    Args:
        results: over seeds.
        labels_only: the arm of a student that learns from gold labels alone.
        arms: those to show, beside the references; none: all.

    Columns: student, arm, size, accuracy, low, high, macro_f1, retention (accuracy over the
    teacher's), agreement, ece, parameters, ``minus labels`` (this arm minus the same student on
    labels only, if there is that arm), ``minus tfidf-lr``, ``minus teacher``: each as text with its
    interval, "not resolved" said where it is.
    """
    teacher = results.units("teacher", "teacher").mean()
    rows = []
    for student, arm in results.arms():
        if arms is not None and arm not in arms and student not in REFERENCES:
            continue
        of = results.rows(student, arm)
        interval = stats.mean_interval(results.units(student, arm))
        entry = {"student": student, "arm": arm, "size": int(round(of["size"].mean()))}
        entry |= {"accuracy": interval.mean, "low": interval.low, "high": interval.high}
        entry |= {"macro_f1": of["macro_f1"].mean(), "retention": interval.mean / teacher}
        entry |= {
            "agreement": of["agreement"].mean(),
            "ece": of["ece"].mean(),
            "parameters": int(of["parameters"].mean()),
        }
        for column, against in (
            ("minus labels", (student, labels_only)),
            ("minus tfidf-lr", ("tfidf-lr", "baseline")),
        ):
            known = against in results.arms() and against != (student, arm)
            entry[column] = (
                difference(results, (student, arm), against, OVERVIEW_RESAMPLES).describe()
                if known
                else ""
            )
        same = student == "teacher"
        entry["minus teacher"] = (
            ""
            if same
            else difference(
                results, (student, arm), ("teacher", "teacher"), OVERVIEW_RESAMPLES
            ).describe()
        )
        rows.append(entry)
    table = pd.DataFrame(rows)
    return table if table["minus labels"].any() else table.drop(columns="minus labels")


def differences(results: Results, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Paired differences between two arms of the same student, for every student: the questions a
    study asks.

    Args:
        results: over seeds.
        pairs: (arm, other arm).

    Returns:
        Columns: student, arm, against, difference, low, high, seeds_low, seeds_high, p, resolved,
        in words (accuracy), macro-F1 (its difference, in words).
    """
    students = [s for s in dict.fromkeys(results.table["student"]) if s not in REFERENCES]
    rows = []
    for student in students:
        for arm, against in pairs:
            d = difference(results, (student, arm), (student, against), OVERVIEW_RESAMPLES)
            row = {
                "student": student,
                "arm": arm,
                "against": against,
                "difference": d.mean,
                "low": d.low,
                "high": d.high,
            }
            row |= {
                "seeds_low": d.seeds_low,
                "seeds_high": d.seeds_high,
                "p": d.p,
                "resolved": d.resolved,
                "in words": d.describe(),
            }
            row["macro-F1"] = f1_difference(results, (student, arm), (student, against)).describe()
            rows.append(row)
    return pd.DataFrame(rows)


def pooled(results: Results, one: str, other: str) -> stats.Difference:
    """Arm ``one`` minus arm ``other``, averaged over all students: one answer for the study."""
    students = [s for s in dict.fromkeys(results.table["student"]) if s not in REFERENCES]
    sides = [results.paired((s, one), (s, other)) for s in students]
    return stats.paired_difference(
        np.mean([a for a, _ in sides], axis=0), np.mean([b for _, b in sides], axis=0)
    )


def means(results: Results) -> pd.DataFrame:
    """Mean accuracy over seeds with its interval over texts: student, arm, size, accuracy, low,
    high.
    """
    rows = []
    for student, arm in results.arms():
        interval = stats.mean_interval(results.units(student, arm))
        size = round(results.rows(student, arm)["size"].mean())
        rows.append(
            {
                "student": student,
                "arm": arm,
                "size": size,
                "accuracy": interval.mean,
                "low": interval.low,
                "high": interval.high,
            }
        )
    return pd.DataFrame(rows)


def hard_against_soft(results: Results, hard: str, soft: str) -> pd.DataFrame:
    """One row a student: the accuracy of both arms, and the interval of their paired difference
    (soft minus hard).
    """
    rows = []
    for student in dict.fromkeys(results.table["student"]):
        if {(student, hard), (student, soft)} <= set(results.arms()):
            d = difference(results, (student, soft), (student, hard))
            accuracy = {
                kind: results.units(student, arm).mean()
                for kind, arm in (("hard", hard), ("soft", soft))
            }
            rows.append(
                {
                    "student": student,
                    **accuracy,
                    "low": d.low,
                    "high": d.high,
                    "in words": d.describe(),
                }
            )
    return pd.DataFrame(rows)
