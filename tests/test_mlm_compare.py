"""Crossings and differences by hand; the statistic's intervals against those of the mean."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlib.studies.mlm import compare as mlm_compare
from gdlib.studies.mlm import figures as mlm_figures
from gdlib.studies.mlm.compare import (
    Curves,
    area,
    crossing,
    differences,
    mean_curves,
    reaches,
    steps_to,
    verdict,
)

STEPS = np.array([0.0, 10.0, 20.0, 30.0])


def test_crossing_by_hand():
    curve = np.array(
        [[9.0, 7.0, 5.0, 4.0], [9.0, 8.0, 8.0, 8.0], [3.0, 2.0, 1.0, 0.0], [9.0, 5.0, 7.0, 5.0]]
    )
    np.testing.assert_allclose(
        crossing(curve, STEPS, np.array([6.0, 5.0, 4.0, 5.0])), [15.0, 30.0, 0.0, 10.0]
    )


@given(st.lists(st.integers(0, 100), min_size=4, max_size=4), st.integers(-10, 110))
def test_crossing_is_between_the_looks(values, target):
    values, target = [value / 10 for value in values], target / 10
    at = crossing(np.array(values), STEPS, np.array(target))
    assert 0 <= at <= 30
    if min(values) > target:
        assert at == 30
    elif at > 0:
        assert np.interp(at, STEPS, values) == pytest.approx(target, abs=1e-6)


def curves(shift, texts=200, units=4, noise=0.5):
    """Plain MLM falls from 8 to 5; the arm "mean" is lower by ``shift`` times the share of the
    training that is past.
    """
    random = np.random.default_rng(0)
    fall = 8 - STEPS / 10
    own = random.normal(0, 1, texts)  # texts are hard or easy for all
    plain = (
        fall[None, :, None]
        + own
        + random.normal(0, noise / 5, (units, 1, 1))
        + random.normal(0, noise, (units, 4, texts))
    )
    arm = plain - shift * (STEPS / 30)[None, :, None] + random.normal(0, 0.05, plain.shape)
    values = {"no teacher": plain, "a": plain + 0.5, "b": plain + 1.0, "mean": arm}
    rows = [(name, unit) for name in values for unit in range(units)]
    table = pd.DataFrame(rows, columns=["arm", "student_seed"]).assign(start="teacher", seed=0)
    losses = np.concatenate(list(values.values())).swapaxes(1, 2)
    return Curves(table, losses, pd.DataFrame({"text": range(texts)}), STEPS, ("a", "b"))


def test_area_by_hand():
    assert area(np.array([8.0, 7.0, 6.0, 5.0]), STEPS) == pytest.approx(6.5)


def test_differences_and_their_verdict():
    found = differences(curves(1.0)).set_index(["left", "right", "measure"])
    end = found.loc[("mean", "no teacher", "end")]
    assert (
        end["value"] == pytest.approx(-1.0, abs=0.01)
        and end["resolved"]
        and end["low"] < end["value"] < end["high"]
    )
    assert found.loc[("mean", "no teacher", "whole training"), "value"] == pytest.approx(
        -0.5, abs=0.01
    )
    assert found.loc[("mean", "a", "end"), "value"] == pytest.approx(
        -1.5, abs=0.01
    )  # the best single one
    assert ("mean", "b", "end") not in found.index
    said = verdict(found.reset_index(), "teacher")
    assert said == (
        "**Start: teacher.** Several teachers against no teacher faster: mean — against a faster: "
        "mean."
    )


def test_nothing_is_not_resolved():
    found = differences(curves(0.0))
    row = found[(found["left"] == "mean") & (found["right"] == "no teacher")].iloc[0]
    assert not row["resolved"] and row["words"].endswith("nats (not resolved)")
    assert "against no teacher not resolved: mean" in verdict(found, "teacher")


def test_share_of_the_steps_of_plain():
    found = steps_to(curves(1.0, noise=0.02), {"teacher": "no teacher"}).set_index("left")
    assert set(found["right"]) == {"no teacher"}
    assert found.loc["no teacher", "value"] == pytest.approx(1)
    # The arm's curve falls by 3 + 1 in 30 steps: it is down by 3 after 22.5.
    mean = found.loc["mean"]
    assert mean["value"] == pytest.approx(0.75, abs=0.01)
    assert mean["low"] <= 0.75 + 0.01 and mean["high"] >= 0.75 - 0.01
    assert found["reached"].tolist() == [4, 0, 0, 4] and set(found["units"]) == {4}


@pytest.mark.parametrize(
    ("shift", "noise", "said"),
    [
        (3.0, 0.02, "less than 70%: mean"),  # it falls by 3 + 3 and needs 2.5 to be as low as a
        (0.0, 0.02, "more than 70%: mean"),  # 2.5 of 3
        (0.6, 0.5, "70% not resolved: mean"),  # 2.5 of 3.6, between seeds that differ
    ],
)
def test_whether_a_rule_needs_less_than_70_percent_of_the_steps(shift, noise, said):
    given = curves(shift, noise=noise)
    found = steps_to(given, {"teacher": given.best_single("teacher")})
    value = found.set_index("left")["value"]["mean"]
    assert value == pytest.approx(2.5 / (3 + shift), abs=0.03 + noise / 10)
    sentence = reaches(found, "teacher")
    start = f"**Start: teacher.** As low as a at its end, after a share of its steps of {said}. "
    assert sentence.startswith(start)
    row = found[found["left"] == "b"].iloc[0]
    assert row["reached"] == 0 and "b 100% [100%, 100%] (got there: 0 of 4)" in sentence


def test_the_interval_of_a_share_is_that_of_the_crossings_text_by_text():
    """Where every text's curve is the same line but for where it starts, shares are a mean over
    texts, whose standard error is known.
    """
    given = curves(1.0, texts=400, units=2, noise=0.0)
    start = np.random.default_rng(1).normal(0, 0.6, 400)
    chosen = given.table["arm"] == "mean"
    lower = given.outputs.copy()
    lower[chosen] = lower[given.table["arm"] == "no teacher"] - 1 + start[:, None]
    found = steps_to(replace(given, outputs=lower), {"teacher": "no teacher"}).set_index("left")
    row = found.loc["mean"]  # 1 below a line that falls by 3: there after 2/3 of the steps
    half = 1.96 * 0.6 / np.sqrt(400) / 3
    assert row["value"] == pytest.approx(2 / 3 + start.mean() / 3, abs=1e-6)
    assert (row["high"] - row["low"]) / 2 == pytest.approx(half, rel=0.12)


def test_mean_curves_and_figures():
    table = mean_curves(curves(1.0))
    assert len(table) == 16 and (table["low"] < table["loss"]).all()
    figure = mlm_figures.curves(table, seeds=4)
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert list(lines) == ["no teacher", "a", "b", "mean"]
    at = table[table["arm"] == "mean"]
    np.testing.assert_allclose(lines["mean"].get_ydata(), at["loss"])
    assert len({(line.get_color(), line.get_marker()) for line in lines.values()}) == 4
    known = mlm_figures.curves(table, seeds=4, frequency=6.25).axes[0].get_lines()[-1]
    assert known.get_label() == "frequencies alone" and set(known.get_ydata()) == {6.25}
    gaps = mlm_compare.gaps(table).groupby("arm")["value"].agg(list)
    plain = table[table["arm"] == "no teacher"]["loss"].to_numpy()
    np.testing.assert_allclose(gaps["mean"], at["loss"] - plain)
    np.testing.assert_allclose(gaps["b"], 1.0)


def test_best_single_is_the_one_that_ends_lowest():
    assert curves(0.0).best_single("teacher") == "a"
    asked = [("a", "no teacher"), ("b", "no teacher"), ("mean", "no teacher"), ("mean", "a")]
    assert mlm_compare.questions(curves(0.0), "teacher") == asked
    given = curves(0.0)
    two = given.table.replace({"arm": {"b": "two heads"}})
    assert mlm_compare.questions(replace(given, table=two, singles=("a",)), "teacher") == [
        ("a", "no teacher"),
        ("two heads", "no teacher"),
        *asked[2:],
        ("mean", "two heads"),
    ]
