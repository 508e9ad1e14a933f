"""Results and the tables made of them, by hand: units, pairing, retention, differences."""

import dataclasses
import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from gdlib.compare import stats
from gdlib.compare.results import Results, of_classifiers
from gdlib.compare.scores import ACCURACY, MACRO_F1, SCORES
from gdlib.compare.stats import Sample
from gdlib.compare.tables import Comparison, decided, headline, sentences

GOLD = np.array([0, 1] * 20)
ALONE, HARD = "labelled only", "hard labels"
THEIRS = {
    "accuracy": accuracy_score,
    "macro-F1": lambda *sides: f1_score(*sides, average="macro"),
    "balanced accuracy": balanced_accuracy_score,
}
NUMBERS = {"size": 10, "macro_f1": 0.5, "parameters": 7}
COMPARISON = Comparison(
    ACCURACY,
    panel="student",
    questions=((HARD, ALONE), ("never run", ALONE)),
    means=tuple(NUMBERS),
    against={"minus labels": ALONE, "minus tfidf-lr": "tfidf-lr", "minus teacher": "teacher"},
    beside={"macro-F1": MACRO_F1},
)


def made(rows, gold=GOLD) -> Results:
    """Results from rows (seed, student_seed, student, arm, how many texts are right)."""
    names = ["seed", "student_seed", "student", "arm", "right"]
    table = pd.DataFrame(rows, columns=names).assign(**NUMBERS)
    outputs = np.stack([np.where(np.arange(40) < n, gold, 1 - gold) for n in table["right"]])
    return Results(table, outputs.astype(np.int16), pd.DataFrame({"gold": gold}))


def one_seed() -> Results:
    """Student seeds out of order, as a resumed run may leave them."""
    return made(
        [
            (0, 1, "KimCNN", ALONE, 24),
            (0, 0, "KimCNN", ALONE, 20),
            (0, 0, "KimCNN", HARD, 28),
            (0, 1, "KimCNN", HARD, 32),
            (0, -1, "", "tfidf-lr", 30),
            (0, -1, "", "teacher", 36),
        ]
    )


def two_seeds() -> Results:
    rows = []
    for seed, (a, b, teacher) in {5: ((20, 22), (26, 28), 30), 2: ((24, 26), (24, 26), 40)}.items():
        rows += [(seed, i, "KimCNN", ALONE, a[i]) for i in (0, 1)]
        rows += [(seed, i, "KimCNN", HARD, b[i]) for i in (0, 1)]
        rows += [(seed, -1, "", "teacher", teacher), (seed, -1, "", "tfidf-lr", 16)]
    return made(rows)


def shares(results: Results, *choices) -> list[list[list[float]]]:
    """Accuracy of every unit and model, of one arm or of two side by side."""
    sample = results.sample(ACCURACY, *choices)
    return [side[..., 0].mean(axis=0).tolist() for side in sample.sides]


def words(around: stats.Difference) -> str:
    value, low, high = (100 * number for number in (around.value, around.low, around.high))
    return f"{value:+.1f} [{low:.1f}, {high:.1f}] points"


# ---- results


def test_units_of_one_seed_are_its_student_seeds_in_order():
    assert shares(one_seed(), {"arm": ALONE}) == [[[20 / 40], [24 / 40]]]
    assert shares(one_seed(), {"arm": "teacher"}) == [[[36 / 40]]]


def test_units_of_several_seeds_are_seeds_of_several_models():
    seed_2_first = [[24 / 40, 26 / 40], [20 / 40, 22 / 40]]
    assert shares(two_seeds(), {"arm": ALONE}) == [seed_2_first]


def test_what_means_are_over_in_words():
    assert one_seed().describe_units() == "1 seed x 2 student seeds (replicated by student seed)"
    assert two_seeds().describe_units() == "2 seeds x 2 student seeds (replicated by seed)"
    alone = made([(0, 0, "KimCNN", ALONE, 24)])
    assert alone.describe_units() == "1 seed x 1 student seed (not replicated)"
    assert (one_seed().replicates, two_seeds().replicates, alone.replicates) == (2, 2, 1)
    tuned = alone.table.rename(columns={"student_seed": "tuning_seed"})
    words = dataclasses.replace(alone, table=tuned).describe_units()
    assert words == "1 seed x 1 fine-tuning seed (not replicated)"


def test_unknown_arm():
    with pytest.raises(KeyError, match="no results of KimCNN, soft labels"):
        one_seed().units(student="KimCNN", arm="soft labels")


def test_one_row_meets_every_model_of_its_seed():
    student, teacher = shares(one_seed(), {"arm": HARD}, {"arm": "teacher"})
    assert student == [[0.7], [0.8]] and teacher == [[0.9], [0.9]]
    teacher, student = shares(two_seeds(), {"arm": "teacher"}, {"arm": HARD})
    assert teacher == [[1.0, 1.0], [0.75, 0.75]] and student == [[0.6, 0.65], [0.65, 0.7]]


def test_save_and_load(tmp_path):
    kept = two_seeds()
    kept.save(tmp_path)
    found = Results.load(tmp_path)
    assert found.table.equals(kept.table) and found.items.equals(kept.items)
    assert np.array_equal(found.outputs, kept.outputs)


def test_stack_of_seeds_equals_all_at_once():
    whole = two_seeds()
    parts = []
    for seed in (5, 2):
        rows = np.flatnonzero(whole.table["seed"] == seed)
        table = whole.table.iloc[rows].reset_index(drop=True)
        parts.append(Results(table, whole.outputs[rows], whole.items))
    stacked = Results.stack(parts)
    for arm in (ALONE, HARD, "teacher"):
        assert shares(stacked, {"arm": arm}) == shares(whole, {"arm": arm})
    other = made([(0, 0, "", "teacher", 5)], gold=1 - GOLD)
    with pytest.raises(
        ValueError, match="^results of different test parts can't be compared item by item$"
    ):
        Results.stack([parts[0], other])


def test_some_of_the_items():
    half = one_seed().where(np.arange(40) < 25)
    assert shares(half, {"arm": ALONE}) == [[[20 / 25], [24 / 25]]] and len(half.items) == 25
    assert half.scores(ACCURACY)[:2].tolist() == [24 / 25, 20 / 25]


def test_numbers_of_classifiers_by_hand():
    items, teacher = pd.DataFrame({"gold": [0, 1, 2, 2]}), np.eye(4)[[0, 1, 1, 2]]
    probabilities = np.array(
        [[0.8, 0.1, 0.1, 0], [0.2, 0.6, 0.2, 0], [0.6, 0.2, 0.2, 0], [0.1, 0.1, 0.8, 0]]
    )
    results = of_classifiers([{"arm": ALONE, "seed": 1}], [probabilities], items, teacher)
    row = results.table.iloc[0]
    assert (row["arm"], row["seed"], row["accuracy"], row["agreement"]) == (ALONE, 1, 0.75, 0.75)
    assert row["macro_f1"] == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)  # there is no fourth class
    assert row["balanced_accuracy"] == pytest.approx((1 + 1 + 1 / 2) / 3)
    # two bins of 15: those at 0.8, those at 0.6
    assert row["ece"] == pytest.approx((2 * abs(0.8 - 1) + 2 * abs(0.6 - 0.5)) / 4)
    assert results.outputs.tolist() == [[0, 1, 0, 2]] and results.items is items
    assert "agreement" not in of_classifiers([{"arm": ALONE}], [probabilities], items).table


# ---- tables


def test_overview_by_hand():
    results = one_seed()
    table = COMPARISON.overview(results).set_index(["panel", "arm"])
    assert table.index.tolist() == [
        ("KimCNN", ALONE),
        ("KimCNN", HARD),
        ("", "tfidf-lr"),
        ("", "teacher"),
    ]
    hard = table.loc[("KimCNN", HARD)]
    assert hard["value"] == 0.75 and hard["low"] <= 0.75 <= hard["high"]
    assert hard["seeds_low"] <= 0.75 <= hard["seeds_high"]
    assert hard["retention"] == pytest.approx(0.75 / 0.9)
    assert {name: hard[name] for name in NUMBERS} == NUMBERS
    assert hard["minus labels"].startswith("+20.0 [")
    assert hard["minus tfidf-lr"].endswith("(not resolved)")
    expected = stats.difference(results.sample(ACCURACY, {"arm": HARD}, {"arm": "teacher"}))
    assert hard["minus teacher"].startswith(words(expected))
    assert table.loc[("KimCNN", ALONE), "minus labels"] == ""
    assert table.loc[("", "tfidf-lr"), "minus tfidf-lr"] == ""
    assert table.loc[("", "teacher"), "minus teacher"] == ""
    assert table.loc[("", "teacher"), "retention"] == 1.0
    other = dataclasses.replace(COMPARISON, against={"minus labels": "an arm of another study"})
    assert "minus labels" not in other.overview(results)


def test_an_overview_of_some_arms_shows_what_belongs_to_every_panel_too():
    table = COMPARISON.overview(one_seed(), only=[ALONE])
    assert table["arm"].tolist() == [ALONE, "tfidf-lr", "teacher"]


def test_retention_over_seeds_is_of_the_means():
    table = COMPARISON.overview(two_seeds()).set_index("arm")
    assert table.loc[ALONE, "retention"] == pytest.approx((21 + 25) / 2 / 35)


def test_differences_are_those_of_the_questions_whose_arms_were_run():
    results = two_seeds()
    [found] = COMPARISON.differences(results).to_dict("records")
    expected = stats.difference(results.sample(ACCURACY, {"arm": HARD}, {"arm": ALONE}))
    assert found["panel"] == "KimCNN" and found["question"] == f"{HARD} minus {ALONE}"
    assert (found["left"], found["right"]) == (HARD, ALONE)
    assert found["value"] == expected.value == pytest.approx((0 + 6) / 2 / 40)
    assert found["words"] == f"{words(expected)} (not resolved)"
    assert not found["resolved"]  # one seed gains six texts, the other none
    f1 = stats.difference(results.sample(MACRO_F1, {"arm": HARD}, {"arm": ALONE}))
    assert found["macro-F1"] == f"{words(f1)} (not resolved)"
    [line] = sentences(COMPARISON.differences(results))
    assert line == f"**{HARD}** minus **{ALONE}**, KimCNN: {found['words']}."


def test_a_difference_by_hand_is_paired_by_student_seed():
    [found] = COMPARISON.differences(one_seed(), resamples=999).to_dict("records")
    right = (np.arange(40) < np.array([[28], [32], [20], [24]])).astype(float)
    expected = stats.difference(Sample.of(right[:2], right[2:]), resamples=999)
    assert found["value"] == expected.value == pytest.approx((8 + 8) / 2 / 40)
    assert (found["low"], found["high"], found["p"]) == (expected.low, expected.high, expected.p)
    assert found["resolved"]  # both seeds agree


def test_student_seeds_of_one_split_are_no_units_of_an_f1():
    """All of the variance is between the three splits: averaged by hand, with scikit-learn's F1 and
    scipy's t over three units, whatever the score.
    """
    rows = [
        (seed, student, "KimCNN", arm, 20 + gain + student)
        for seed, gains in enumerate([(0, 10), (8, 0), (0, 6)])
        for arm, gain in zip((ALONE, HARD), gains)
        for student in range(5)
    ]
    results, expected = made(rows), {}
    for name in ("accuracy", "macro-F1", "balanced accuracy"):
        of_row = [THEIRS[name](GOLD, predicted) for predicted in results.outputs]
        table = results.table.assign(score=of_row)
        means = table.groupby(["arm", "seed"])["score"].mean()
        gains = (means[HARD] - means[ALONE]).to_numpy()
        expected[name] = scipy_stats.ttest_1samp(gains, 0).confidence_interval(0.95)
        comparison = dataclasses.replace(COMPARISON, score=SCORES[name])
        [found] = comparison.differences(results, resamples=99).to_dict("records")
        assert found["value"] == pytest.approx(gains.mean())
        assert (found["seeds_low"], found["seeds_high"]) == pytest.approx(tuple(expected[name]))
        assert not found["resolved"]
    # Fifteen units would be four times as sure.
    units = results.table["right"].to_numpy().reshape(3, 2, 5)
    gains = (units[:, 1] - units[:, 0]).ravel() / 40
    naive = scipy_stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert np.ptp(expected["accuracy"]) > 3 * np.ptp(naive)


def differences_of(p: list[float]) -> pd.DataFrame:
    numbers = {"value": -0.021, "low": -0.0329, "high": -0.01, "left": "a", "right": "b"}
    return pd.DataFrame([numbers | {"panel": "", "p": each, "seeds_low": each} for each in p])


def test_all_differences_of_a_table_are_tested_together():
    # Of four tests 0.01 < 0.05 / 4 and 0.016 < 0.05 / 3, but 0.03 > 0.05 / 2, and so 0.04 neither.
    table = decided(differences_of([0.04, 0.01, math.nan, 0.016, 0.03]))
    assert table["resolved"].tolist() == [False, True, False, True, False]
    assert decided(differences_of([0.04]))["resolved"].all()
    again = decided(pd.concat([decided(differences_of([0.04])), table], ignore_index=True))
    assert not again["resolved"].any()  # 0.01 is not below 0.05 / 5
    assert decided(pd.DataFrame([])).empty


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_the_correction_is_the_closed_test_of_bonferroni(p):
    """Holm's step-down is the closure of Bonferroni's test (Marcus, Peritz and Gabriel 1976): a
    hypothesis falls if every set of hypotheses with it has one p below 0.05 / size.
    """

    def falls(place: int) -> bool:
        sets = itertools.product(*([True] if i == place else [False, True] for i in range(len(p))))
        chosen = ([value for value, inside in zip(p, of) if inside] for of in sets)
        return all(min(values) * len(values) < 0.05 for values in chosen)

    expected = [falls(place) for place in range(len(p))]
    assert decided(differences_of(p))["resolved"].tolist() == expected


def test_words_of_a_difference():
    table = differences_of([0.001, 0.2, math.nan])
    points = "-2.1 [-3.3, -1.0] points"
    expected = [points, f"{points} (not resolved)", f"{points} (one seed)"]
    assert decided(table)["words"].tolist() == expected
    assert decided(table, "nats")["words"][0] == "-0.021 [-0.033, -0.010] nats"


def test_an_overview_is_one_table_of_tests():
    """A difference that is resolved alone is not among three."""
    gains = {ALONE: (0, 0, 0), HARD: (3, 4, 5), "soft": (1, 1, 0), "real": (0, 0, 1)}
    rows = [(0, i, "KimCNN", arm, 9 + gain) for arm in gains for i, gain in enumerate(gains[arm])]
    results = made(rows)
    comparison = dataclasses.replace(COMPARISON, against={"minus labels": ALONE})
    [alone] = comparison.differences(results, [(HARD, ALONE)]).to_dict("records")
    assert alone["resolved"] and 0.05 / 3 < alone["p"] < 0.05
    table = comparison.overview(results).set_index("arm")
    assert table.loc[HARD, "minus labels"].endswith("(not resolved)")


def test_pooled_averages_the_panels():
    results = made(
        [
            (0, 0, "KimCNN", ALONE, 20),
            (0, 0, "KimCNN", HARD, 30),
            (0, 0, "ResCNN", ALONE, 10),
            (0, 0, "ResCNN", HARD, 24),
            (0, -1, "", "teacher", 30),
        ]
    )
    assert len(COMPARISON.differences(results)) == 2
    [found] = COMPARISON.differences(results, pooled=True).to_dict("records")
    assert found["panel"] == "" and found["value"] == pytest.approx((10 + 14) / 2 / 40)
    [line] = sentences(pd.DataFrame([found]))
    assert line.startswith(f"**{HARD}** minus **{ALONE}**: +30.0 [")
    arms = COMPARISON.arms(results, pooled=True).set_index("arm")
    assert arms.loc[HARD, "value"] == pytest.approx(27 / 40)


def test_a_sweep_is_the_table_of_arms_by_size():
    table = COMPARISON.sweep({5: one_seed(), 10: two_seeds()})
    assert table["size"].tolist() == [5] * 4 + [10] * 4
    assert table["value"][1] == 0.75 and table["value"][5] == pytest.approx(26 / 40)


def test_the_headline_is_of_the_panel_chosen_beforehand_and_not_of_the_best():
    rows = [(0, 0, "KimCNN", HARD, 20), (0, 0, "ResCNN", HARD, 30), (0, -1, "", "teacher", 40)]
    overview = COMPARISON.overview(made(rows)).assign(parameters=[5, 10, 100])
    numbers = {"teacher": "teacher", "hard": HARD, "never run": "never run"}
    assert list(headline(overview, HARD, numbers, "KimCNN")) == [
        ("teacher", 1.0, "share"),
        ("hard", 0.5, "share"),
        ("retention", 0.5, "share"),
        ("times fewer parameters", 20.0, "x"),
    ]
    alone = overview[overview["panel"] != "KimCNN"]
    assert list(headline(alone, HARD, numbers))[1] == ("hard", 0.75, "share")
