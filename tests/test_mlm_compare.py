"""Crossings and differences by hand; the statistic's intervals against those of the mean."""

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
    steps_to_plain,
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
        "**Start: teacher.** Several teachers against no teacher faster: mean — against "
        "the best single teacher faster: mean."
    )


def test_nothing_is_not_resolved():
    found = differences(curves(0.0))
    row = found[(found["left"] == "mean") & (found["right"] == "no teacher")].iloc[0]
    assert not row["resolved"] and row["words"].endswith("nats (not resolved)")
    assert "against no teacher not resolved: mean" in verdict(found, "teacher")


def test_steps_until_plain():
    found = steps_to_plain(curves(1.0, noise=0.02)).set_index("arm")
    assert found.loc["no teacher", "steps"] == pytest.approx(30)
    # The arm's curve falls by 3 + 1 in 30 steps: it is down by 3 after 22.5.
    assert found.loc["mean", "steps"] == pytest.approx(22.5, abs=0.2)
    assert found.loc["mean", "low"] <= 22.5 + 0.2 and found.loc["mean", "high"] >= 22.5 - 0.2
    assert found["reached"].tolist() == [4, 0, 0, 4] and set(found["units"]) == {4}


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
    assert mlm_compare.questions(curves(0.0), "teacher") == [
        ("a", "no teacher"),
        ("b", "no teacher"),
        ("mean", "no teacher"),
        ("mean", "a"),
    ]
