"""Comparison of made results: units, pairing, retention and differences, by hand."""

import numpy as np
import pandas as pd
import pytest

from gdlib.compare import comparison, f1_stats, stats
from gdlib.compare.results import Results, row

GOLD = np.array([0, 1] * 20)


def made(rows, gold=GOLD):
    """Results from rows (seed, student_seed, student, arm, right: the texts it gets right)."""
    table, predicted = [], []
    for seed, student_seed, student, arm, right in rows:
        said = np.where(right, gold, 1 - gold)
        shared = {
            "corpus": "made",
            "labels_per_class": 5,
            "size": 10,
            "macro_f1": 0.5,
            "agreement": 0.6,
            "ece": 0.1,
            "parameters": 7,
            "steps": 3,
        }
        table.append(
            {
                "seed": seed,
                "student_seed": student_seed,
                "student": student,
                "arm": arm,
                "accuracy": right.mean(),
            }
            | shared
        )
        predicted.append(said)
    return Results(
        pd.DataFrame(table),
        np.array(predicted, dtype=np.int16),
        np.full((len(rows), len(gold)), 0.7, np.float32),
        gold,
    )


def right(*numbers):
    """The first so many texts right, for each number a row."""
    return [np.arange(40) < n for n in numbers]


def one_seed():
    """Student seeds out of order, as a resumed run may leave them."""
    a1, a0, b0, b1, teacher, lr = right(24, 20, 28, 32, 36, 30)
    return made([
        (0, 1, "KimCNN", "labelled only", a1), (0, 0, "KimCNN", "labelled only", a0), (0, 0, "KimCNN", "hard labels", b0),
        (0, 1, "KimCNN", "hard labels", b1), (0, -1, "tfidf-lr", "baseline", lr), (0, -1, "teacher", "teacher", teacher),
    ])  # fmt: skip


def two_seeds():
    rows = []
    for seed, (a, b, teacher) in {5: ((20, 22), (26, 28), 30), 2: ((24, 26), (24, 26), 40)}.items():
        for i in (0, 1):
            rows.append((seed, i, "KimCNN", "labelled only", right(a[i])[0]))
            rows.append((seed, i, "KimCNN", "hard labels", right(b[i])[0]))
        rows.append((seed, -1, "teacher", "teacher", right(teacher)[0]))
        rows.append((seed, -1, "tfidf-lr", "baseline", right(16)[0]))
    return made(rows)


def test_units_of_one_seed_are_its_student_seeds_in_order():
    assert one_seed().units("KimCNN", "labelled only").mean(1).tolist() == [20 / 40, 24 / 40]
    assert np.array_equal(one_seed().units("teacher", "teacher"), np.array(right(36), dtype=float))


def test_what_means_are_over_in_words():
    assert (
        comparison.units(one_seed()) == "1 seed x 2 student seeds"
        and comparison.seeds_shown(one_seed()) == 2
    )
    assert (
        comparison.units(two_seeds()) == "2 seeds x 2 student seeds"
        and comparison.seeds_shown(two_seeds()) == 2
    )


def test_the_table_of_arms_against_another_arm_and_of_some_of_them():
    table = comparison.arms_table(one_seed(), "hard labels", ["labelled only"]).set_index("arm")
    assert table.index.tolist() == ["labelled only", "baseline", "teacher"]
    assert (
        table.loc["labelled only", "minus labels"].startswith("-20.0 [")
        and table.loc["teacher", "minus labels"] == ""
    )


def test_units_of_several_seeds_are_averages_of_their_student_seeds():
    units = two_seeds().units("KimCNN", "labelled only")
    assert units.shape == (2, 40)
    assert units.mean(1).tolist() == [25 / 40, 21 / 40]  # seed 2 first
    assert units[1, 20:23].tolist() == [0.5, 0.5, 0.0]


def test_unknown_arm():
    with pytest.raises(KeyError, match="no results of KimCNN, soft labels"):
        one_seed().units("KimCNN", "soft labels")


def test_one_row_meets_every_student_seed():
    student, teacher = one_seed().paired(("KimCNN", "hard labels"), ("teacher", "teacher"))
    assert student.shape == teacher.shape == (2, 40) and np.array_equal(teacher[0], teacher[1])
    teacher, student = one_seed().paired(("teacher", "teacher"), ("KimCNN", "hard labels"))
    assert teacher.mean(1).tolist() == [0.9, 0.9] and student.mean(1).tolist() == [0.7, 0.8]


def test_several_seeds_are_paired_seed_by_seed():
    student, teacher = two_seeds().paired(("KimCNN", "hard labels"), ("teacher", "teacher"))
    assert student.mean(1).tolist() == [25 / 40, 27 / 40] and teacher.mean(1).tolist() == [
        1.0,
        30 / 40,
    ]


def test_difference_by_hand():
    found = comparison.difference(
        one_seed(), ("KimCNN", "hard labels"), ("KimCNN", "labelled only")
    )
    assert found.mean == pytest.approx(((28 - 20) + (32 - 24)) / 2 / 40)
    assert (found.seeds, found.texts) == (2, 40) and found.low <= found.mean <= found.high
    a, b = np.array(right(28, 32), float), np.array(right(20, 24), float)
    assert found == stats.paired_difference(a, b)
    same = comparison.difference(one_seed(), ("KimCNN", "hard labels"), ("KimCNN", "hard labels"))
    assert (same.mean, same.low, same.high) == (0, 0, 0) and not same.resolved


def test_save_and_load(tmp_path):
    kept = two_seeds()
    kept.save(tmp_path)
    found = Results.load(tmp_path)
    assert (
        found.table.equals(kept.table)
        and np.array_equal(found.gold, kept.gold)
        and np.array_equal(found.confidence, kept.confidence)
    )
    assert np.array_equal(found.predicted, kept.predicted) and np.array_equal(
        found.correct, kept.correct
    )


def test_stack_of_seeds_equals_all_at_once():
    whole = two_seeds()
    parts = []
    for seed in (5, 2):
        rows = np.flatnonzero(whole.table["seed"] == seed)
        parts.append(
            Results(
                whole.table.iloc[rows].reset_index(drop=True),
                whole.predicted[rows],
                whole.confidence[rows],
                whole.gold,
            )
        )
    stacked = Results.stack(parts)
    for arm in whole.arms():
        assert np.array_equal(stacked.units(*arm), whole.units(*arm))
    other = made([(0, 0, "teacher", "teacher", right(5)[0])], gold=1 - GOLD)
    with pytest.raises(
        ValueError, match="^results of different test parts can't be compared text by text$"
    ):
        Results.stack([parts[0], other])


def test_row_by_hand():
    gold, teacher = np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.6, 0.2, 0.2], [0.1, 0.1, 0.8]])
    found = row(gold, probabilities, teacher, 3, student="KimCNN", seed=1)
    assert found["student"] == "KimCNN" and found["seed"] == 1
    assert found["accuracy"] == 0.75 and found["agreement"] == 0.75
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)
    assert found["ece"] == pytest.approx(
        (2 * abs(0.8 - 1) + 2 * abs(0.6 - 0.5)) / 4
    )  # two bins of 15: those at 0.8, those at 0.6


def test_arms_table_by_hand():
    results = one_seed()
    table = comparison.arms_table(results).set_index(["student", "arm"])
    assert table.index.tolist() == results.arms()
    hard = table.loc[("KimCNN", "hard labels")]
    assert hard["accuracy"] == 0.75 and hard["low"] <= 0.75 <= hard["high"]
    assert hard["retention"] == pytest.approx(0.75 / 0.9)
    assert (hard["macro_f1"], hard["agreement"], hard["ece"], hard["parameters"], hard["size"]) == (
        0.5,
        0.6,
        0.1,
        7,
        10,
    )
    for column, against in {
        "minus labels": ("KimCNN", "labelled only"), "minus tfidf-lr": ("tfidf-lr", "baseline"), "minus teacher": ("teacher", "teacher"),
    }.items():  # fmt: skip
        assert (
            hard[column]
            == comparison.difference(
                results, ("KimCNN", "hard labels"), against, comparison.OVERVIEW_RESAMPLES
            ).describe()
        )
    assert hard["minus labels"].startswith("+20.0 [") and hard["minus tfidf-lr"].endswith(
        "(not resolved)"
    )
    assert table.loc[("KimCNN", "labelled only"), "minus labels"] == ""
    assert (
        table.loc[("tfidf-lr", "baseline"), "minus tfidf-lr"] == ""
        and table.loc[("teacher", "teacher"), "minus teacher"] == ""
    )
    assert table.loc[("teacher", "teacher"), "retention"] == 1.0
    assert "minus labels" not in comparison.arms_table(
        results, labels_only="an arm of another study"
    )


def test_retention_over_seeds_is_of_the_means():
    table = comparison.arms_table(two_seeds()).set_index(["student", "arm"])
    assert table.loc[("KimCNN", "labelled only"), "retention"] == pytest.approx((21 + 25) / 2 / 35)


def test_differences_and_pooled():
    results = two_seeds()
    [found] = comparison.differences(results, [("hard labels", "labelled only")]).to_dict("records")
    expected = comparison.difference(
        results,
        ("KimCNN", "hard labels"),
        ("KimCNN", "labelled only"),
        comparison.OVERVIEW_RESAMPLES,
    )
    assert (found["student"], found["arm"], found["against"]) == (
        "KimCNN",
        "hard labels",
        "labelled only",
    )
    assert (
        found["difference"] == expected.mean == pytest.approx((0 + 6) / 2 / 40)
        and found["in words"] == expected.describe()
    )
    assert not found["resolved"]  # one seed gains six texts, the other none
    pooled = comparison.pooled(results, "hard labels", "labelled only")
    assert pooled.mean == pytest.approx(expected.mean)  # one student: the same


def test_pooled_averages_students():
    a, b, c, d = right(20, 30, 10, 24)
    results = made([
        (0, 0, "KimCNN", "labelled only", a), (0, 0, "KimCNN", "hard labels", b),
        (0, 0, "ResCNN", "labelled only", c), (0, 0, "ResCNN", "hard labels", d), (0, -1, "teacher", "teacher", b),
    ])  # fmt: skip
    assert comparison.pooled(results, "hard labels", "labelled only").mean == pytest.approx(
        (10 + 14) / 2 / 40
    )


def test_means_and_hard_against_soft():
    results = one_seed()
    table = comparison.means(results).set_index(["student", "arm"])
    assert table.index.tolist() == results.arms()
    expected = {
        ("KimCNN", "hard labels"): 0.75,
        ("tfidf-lr", "baseline"): 0.75,
        ("teacher", "teacher"): 0.9,
    }
    assert table.loc[list(expected), "accuracy"].tolist() == list(expected.values())
    [row] = comparison.hard_against_soft(results, hard="labelled only", soft="hard labels").to_dict(
        "records"
    )
    assert (row["student"], row["hard"], row["soft"]) == (
        "KimCNN",
        pytest.approx(0.55),
        pytest.approx(0.75),
    )
    assert row["low"] <= 0.2 <= row["high"]
    assert comparison.hard_against_soft(results, "hard labels", "generation-distillation").empty


def test_macro_f1_differences_are_paired_by_seed_and_student_seed():
    results = one_seed()
    found = comparison.f1_difference(
        results, ("KimCNN", "hard labels"), ("KimCNN", "labelled only")
    )
    a, b = (
        results.predicted[results.rows("KimCNN", arm).sort_values("student_seed").index]
        for arm in ("hard labels", "labelled only")
    )
    assert found == f1_stats.paired_f1_difference(results.gold, a, b, 2, resamples=1999)
    with pytest.raises(KeyError, match="no results of KimCNN, soft"):
        results.rows("KimCNN", "soft")
