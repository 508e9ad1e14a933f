"""Masked-language-model distillation over seeds: convergence curves, steps to a loss, and what is
resolved.

A *unit* is a seed: of students within one run; with several runs (seeds of the study) a run, its
students averaged. The texts of units of several runs are different ones; a pair of arms always has
the same texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gdlib.compare import stats
from gdlib.compare.results import Results
from gdlib.learn.names import RULES
from gdlib.studies.mlm.settings import PLAIN_ARM, START_ARM
from gdlib.studies.mlm.study import MLMStudy
from gdlib.studies.mlm.views import labelling_seconds, training_seconds
from gdlib.studies.shared.compare import of_classifiers

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """Held-out losses of every start and arm.

    Args:
        steps: of the looks.
        values: (start, arm) to losses whose mean over texts is the loss in nats a hidden piece: a
            text weighs as many pieces as are hidden in it. *Shape:* ``[units, looks, texts]`` each.
        singles: the arms with one teacher.
    """

    steps: Array
    values: dict[tuple[str, str], Array]
    singles: tuple[str, ...]

    @property
    def starts(self) -> list[str]:
        return list(dict.fromkeys(start for start, _ in self.values))

    @property
    def arms(self) -> list[str]:
        return list(dict.fromkeys(arm for _, arm in self.values))

    @property
    def rules(self) -> list[str]:
        return [arm for arm in self.arms if arm in RULES]

    @property
    def units(self) -> int:
        return len(next(iter(self.values.values())))

    def best_single(self, start: str) -> str:
        """The single teacher whose students end lowest. Chosen in hindsight, to its advantage."""
        return min(self.singles, key=lambda arm: self.values[start, arm][:, -1].mean())


def of_run(study: MLMStudy) -> Curves:
    """The curves of one run; a unit is a student seed."""
    masked, s = study.masked["held_out"], study.settings
    scale = len(masked) / len(masked.gold)
    values = {
        (start, arm): np.stack(
            [
                study.trained(t, "losses").numpy()
                for t in study.trials
                if (t.start, t.arm) == (start, arm)
            ]
        ).astype(np.float64)
        * scale
        for start in s.starts
        for arm in study.arms
    }
    return Curves(
        np.array(study.looks, dtype=float),
        values,
        tuple(arm for arm in study.arms if arm in study.networks),
    )


def over_seeds(study: MLMStudy) -> Curves:
    """The curves of all seeds of a study; with several a unit is a run."""
    runs = [of_run(one) for one in study.each_seed()]
    if len(runs) == 1:
        return runs[0]
    texts = min(value.shape[-1] for run in runs for value in run.values.values())
    values = {
        key: np.stack([run.values[key][..., :texts].mean(axis=0) for run in runs])
        for key in runs[0].values
    }
    return Curves(runs[0].steps, values, runs[0].singles)


def mean_curves(curves: Curves) -> pd.DataFrame:
    """start, arm, step, loss, low, high (over seeds; NaN with one unit)."""
    rows = []
    for (start, arm), value in curves.values.items():
        for step, at in zip(curves.steps, value.mean(axis=-1).T):
            interval = stats.mean_interval(
                np.stack([at, at], axis=1)
            )  # texts are averaged already: the interval over seeds alone
            low, high = (
                (interval.seeds_low, interval.seeds_high) if len(at) > 1 else (np.nan, np.nan)
            )
            rows.append(
                {
                    "start": start,
                    "arm": arm,
                    "step": step,
                    "loss": at.mean(),
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(rows)


def over_time(study: MLMStudy, curves: Curves) -> pd.DataFrame:
    """start, arm, seconds (of training, mean over students), labelling (seconds of all teachers an
    arm needs), loss.
    """
    looks = (
        training_seconds(study)
        .groupby(["start", "arm", "step"], sort=False)["seconds"]
        .mean()
        .reset_index()
    )
    cost = labelling_seconds(study).set_index("teacher")[["head", "labelling"]].sum(axis=1)
    table = mean_curves(curves).merge(looks, on=["start", "arm", "step"])
    table["labelling"] = [
        sum(cost[name] for name in study.teachers_of(arm)) for arm in table["arm"]
    ]
    return table


def area(value: Array, steps: Array) -> Array:
    """The mean loss over the whole training (trapezoids): lower is faster.

    *Shape:* ``[units, looks, texts]`` -> ``[units, texts]``.
    """
    return np.trapezoid(value, steps, axis=1) / (steps[-1] - steps[0])


def nats(d: stats.Difference) -> str:
    """``-0.123 [-0.150, -0.096] nats``; what does not hold for both texts and seeds ends in ``(not
    resolved)``.
    """
    line = f"{d.value:+.3f} [{d.low:.3f}, {d.high:.3f}] nats"
    return line if d.resolved else f"{line} (not resolved)"


def differences(
    curves: Curves, pairs: Sequence[tuple[str, str]] = (), resamples: int = 1999
) -> pd.DataFrame:
    """Paired differences of the loss at the end and over the whole training: below 0, the arm is
    the better one.

    Args:
        curves: over seeds.
        pairs: (arm, other arm); none given: every arm against plain MLM, every rule against the
            best single teacher.
        resamples: of the texts.

    Returns:
        start, arm, against, measure (``end``, ``whole training``), difference, low, high,
        seeds_low, seeds_high, resolved, in words.
    """
    rows = []
    for start in curves.starts:
        for arm, against in pairs or questions(curves, start):
            a, b = curves.values[start, arm], curves.values[start, against]
            for measure, of in (
                ("end", lambda v: v[:, -1]),
                ("whole training", lambda v: area(v, curves.steps)),
            ):
                d = stats.paired_difference(of(a), of(b), resamples=resamples)
                row = {
                    "start": start,
                    "arm": arm,
                    "against": against,
                    "measure": measure,
                    "difference": d.value,
                    "low": d.low,
                    "high": d.high,
                }
                row |= {
                    "seeds_low": d.seeds_low,
                    "seeds_high": d.seeds_high,
                    "resolved": d.resolved and d.units > 1,
                    "in words": nats(d),
                }
                rows.append(row)
    return pd.DataFrame(rows)


def questions(curves: Curves, start: str) -> list[tuple[str, str]]:
    """Every arm against plain MLM; every rule against the best single teacher."""
    found = [
        (arm, PLAIN_ARM) for arm in curves.arms if arm != PLAIN_ARM and PLAIN_ARM in curves.arms
    ]
    if curves.singles:
        found += [(rule, curves.best_single(start)) for rule in curves.rules]
    return found


def crossing(curve: Array, steps: Array, target: Array) -> Array:
    """The step at which a curve first is at or below a target, between looks on a straight line;
    the last step if never.

    *Shape:* curve ``[..., looks]``, target ``[...]`` -> ``[...]``.
    """
    below = curve <= target[..., None] + 1e-9
    place = np.where(below.any(axis=-1), below.argmax(axis=-1), curve.shape[-1] - 1)
    before = np.maximum(place - 1, 0)
    high, low = (
        np.take_along_axis(curve, at[..., None], axis=-1)[..., 0] for at in (before, place)
    )
    share = np.clip((high - target) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    share = np.where(below.any(axis=-1) & (place > 0), share, 1.0)
    return steps[before] + share * (steps[place] - steps[before])


def steps_to_plain(curves: Curves, resamples: int = 999) -> pd.DataFrame:
    """Steps until an arm is as low as plain MLM at its end, unit by unit, with intervals over texts
    and over seeds.

    Returns:
        start, arm, steps, low, high (percentile or BCa over texts), seeds_low, seeds_high, reached
        (units that got there), units. A unit that does not get there counts as the last step: then
        the mean is too kind.
    """
    rows = []
    for (start, arm), value in curves.values.items():
        if (start, PLAIN_ARM) not in curves.values:
            continue
        plain = curves.values[start, PLAIN_ARM]

        def by_seed(index: NDArray[np.intp], value: Array = value, plain: Array = plain) -> Array:
            drawn = index.reshape(-1, index.shape[-1])
            share = (
                np.apply_along_axis(np.bincount, 1, drawn, minlength=value.shape[-1])
                / drawn.shape[-1]
            )
            curve, target = (np.einsum("rt,ult->rul", share, of) for of in (value, plain[:, -1:]))
            return crossing(curve, curves.steps, target[..., 0]).reshape(*index.shape[:-1], -1)

        interval = stats.statistic_interval(by_seed, value.shape[-1], resamples=resamples)
        reached = (value.mean(axis=-1).min(axis=-1) <= plain[:, -1].mean(axis=-1) + 1e-9).sum()
        rows.append(
            {
                "start": start,
                "arm": arm,
                "steps": interval.value,
                "low": interval.low,
                "high": interval.high,
            }
            | {
                "seeds_low": interval.seeds_low,
                "seeds_high": interval.seeds_high,
                "reached": int(reached),
                "units": len(value),
            }
        )
    return pd.DataFrame(rows)


def verdict(table: pd.DataFrame, start: str) -> str:
    """One sentence a start: do several teachers converge faster here? From :func:`differences`,
    over the whole training.
    """
    of = table[
        (table["start"] == start)
        & (table["measure"] == "whole training")
        & table["arm"].isin(RULES)
    ]
    parts = []
    for against, group in of.groupby(
        of["against"].where(of["against"] == PLAIN_ARM, "the best single teacher"), sort=False
    ):
        faster = group[group["resolved"] & (group["difference"] < 0)]["arm"].tolist()
        slower = group[group["resolved"] & (group["difference"] > 0)]["arm"].tolist()
        open_ = [arm for arm in group["arm"] if arm not in faster + slower]
        said = [
            f"{what}: {', '.join(arms)}"
            for what, arms in (("faster", faster), ("slower", slower), ("not resolved", open_))
            if arms
        ]
        parts.append(f"against {against} {'; '.join(said)}")
    return f"**Start: {start}.** Several teachers " + " — ".join(parts) + "." if parts else ""


TUNED = of_classifiers()


def tuned_questions(results: Results) -> list[tuple[str, str]]:
    """Of the fine-tuned arms: each against plain MLM, and each against the start without it."""
    arms = list(dict.fromkeys(results.table.loc[results.table["student"] != "", "arm"]))
    return [
        (arm, right)
        for right in (PLAIN_ARM, START_ARM)
        for arm in arms
        if arm not in (right, START_ARM)
    ]
