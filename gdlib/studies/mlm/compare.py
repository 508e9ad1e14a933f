"""Masked-language-model distillation over seeds: convergence curves, steps to a loss, and what is
resolved.

A unit of replication is a student seed within one run; with several runs (seeds of the study) it is
a run, its students averaged. The texts of several runs are different ones; a pair of arms always
has the same texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gdlib.compare import stats
from gdlib.compare.results import Results
from gdlib.compare.scores import MEAN, Score
from gdlib.compare.stats import Sample
from gdlib.compare.tables import Comparison, decided
from gdlib.learn.names import RULES
from gdlib.studies.mlm.settings import PLAIN_ARM, START_ARM
from gdlib.studies.mlm.study import MLMStudy
from gdlib.studies.mlm.views import labelling_seconds, training_seconds
from gdlib.studies.shared.compare import of_classifiers

Array = NDArray[np.float64]
COMPARISON = Comparison(MEAN, unit="nats")
"""Losses: below 0, the left arm is the better one."""


@dataclass(frozen=True)
class Curves(Results):
    """Held-out losses of every ``start``, ``arm`` and seed.

    ``outputs`` are losses whose mean over texts is the loss in nats per hidden piece, so that a
    text weighs as many pieces as are hidden in it. *Shape:* ``[rows, texts, looks]``.

    Args:
        steps: of the looks.
        singles: the arms with one teacher.
    """

    steps: Array
    singles: tuple[str, ...]

    @property
    def starts(self) -> list[str]:
        """In the order of the table."""
        return list(dict.fromkeys(self.table["start"]))

    @property
    def arms(self) -> list[str]:
        """In the order of the table."""
        return list(dict.fromkeys(self.table["arm"]))

    @property
    def rules(self) -> list[str]:
        """The arms that combine several teachers."""
        return [arm for arm in self.arms if arm in RULES]

    def losses(self, start: str, arm: str) -> Array:
        """*Shape:* ``[units, texts, looks]``, the models of a unit averaged."""
        return self.outputs[self.units(start=start, arm=arm)].mean(axis=1)

    def best_single(self, start: str) -> str:
        """The single teacher whose students end lowest. Chosen in hindsight, to its advantage."""
        return min(self.singles, key=lambda arm: self.losses(start, arm)[..., -1].mean())


def of_run(study: MLMStudy) -> Curves:
    """The curves of one run."""
    masked, s = study.masked["held_out"], study.settings
    scale = len(masked) / len(masked.gold)
    trials = [t for t in study.trials if t.start in s.starts and t.arm in study.arms]
    losses = [study.trained(t, "losses").numpy().astype(np.float64).T * scale for t in trials]
    rows = [{"start": t.start, "arm": t.arm, "student_seed": t.seed} for t in trials]
    return Curves(
        pd.DataFrame(rows).assign(seed=s.seed),
        np.stack(losses),
        pd.DataFrame({"text": range(len(losses[0]))}),
        np.array(study.looks, dtype=float),
        tuple(arm for arm in study.arms if arm in study.networks),
    )


def over_seeds(study: MLMStudy) -> Curves:
    """The curves of all seeds of a study, of as many texts each."""
    runs = [of_run(each) for each in study.each_seed()]
    texts = min(len(run.items) for run in runs)
    return Curves.stack([run.where(np.arange(len(run.items)) < texts) for run in runs])


def _start_and_arm(curves: Curves) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(curves.table["start"], curves.table["arm"])))


def mean_curves(curves: Curves) -> pd.DataFrame:
    """start, arm, step, loss, low, high (over seeds; NaN with one)."""
    rows = []
    for start, arm in _start_and_arm(curves):
        for step, losses in zip(curves.steps, curves.losses(start, arm).mean(axis=1).T):
            interval = dict(zip(("low", "high"), stats.over_seeds(losses)))
            row = {"start": start, "arm": arm, "step": step, "loss": losses.mean()}
            rows.append(row | interval)
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


def area(losses: Array, steps: Array) -> Array:
    """The mean loss over the whole training (trapezoids): lower is faster.

    *Shape:* ``[..., looks]`` -> ``[...]``.
    """
    return np.trapezoid(losses, steps, axis=-1) / (steps[-1] - steps[0])


def differences(curves: Curves, pairs: Sequence[tuple[str, str]] = ()) -> pd.DataFrame:
    """Paired differences of the loss, a start per panel: ``measure`` is at the ``end`` or over the
    ``whole training``.

    ``pairs``: (left arm, right arm); none given: :func:`questions`.
    """
    tables = []
    for start in curves.starts:
        of_start, asked = curves.only(start=start), pairs or questions(curves, start)
        measures = {
            "end": of_start.outputs[..., -1],
            "whole training": area(of_start.outputs, curves.steps),
        }
        for measure, losses in measures.items():
            table = COMPARISON.differences(replace(of_start, outputs=losses), asked)
            tables.append(table.assign(panel=start, measure=measure))
    return decided(pd.concat(tables, ignore_index=True), COMPARISON.unit)


def questions(curves: Curves, start: str) -> list[tuple[str, str]]:
    """Every arm against plain MLM; every rule against the best single teacher."""
    asked = [(arm, PLAIN_ARM) for arm in curves.arms if arm != PLAIN_ARM]
    if curves.singles:
        asked += [(rule, curves.best_single(start)) for rule in curves.rules]
    return asked


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
        start, arm, steps, low, high, seeds_low, seeds_high, reached (units that got there), units.
        A unit that does not get there counts as the last step: then the mean is too kind.
    """
    score = Score(MEAN.added, lambda loss: crossing(loss[..., :-1], curves.steps, loss[..., -1]))
    rows = []
    for start, arm in _start_and_arm(curves) if PLAIN_ARM in curves.arms else ():
        losses, target = curves.losses(start, arm), curves.losses(start, PLAIN_ARM)[..., -1:]
        both = np.concatenate([losses, target], axis=-1)  # [units, texts, looks and the target]
        sample = Sample(score, np.moveaxis(both, 0, 1)[:, :, None])
        found = stats.interval(sample, resamples=resamples).columns()
        lowest = losses.mean(axis=1).min(axis=-1)
        reached = int((lowest <= target.mean(axis=(1, 2)) + 1e-9).sum())
        row = {"start": start, "arm": arm, "steps": found.pop("value")} | found
        rows.append(row | {"reached": reached, "units": len(losses)})
    return pd.DataFrame(rows)


def verdict(table: pd.DataFrame, start: str) -> str:
    """One sentence per start: do several teachers converge faster here? From :func:`differences`,
    over the whole training.
    """
    asked = (table["panel"] == start) & (table["measure"] == "whole training")
    rows = table[asked & table["left"].isin(RULES)]
    parts = []
    right = rows["right"].where(rows["right"] == PLAIN_ARM, "the best single teacher")
    for against, group in rows.groupby(right, sort=False):
        faster = np.where(group["value"] < 0, "faster", "slower")
        verdicts = np.where(group["resolved"], faster, "not resolved")
        said = [
            f"{words}: {', '.join(group['left'][verdicts == words])}"
            for words in ("faster", "slower", "not resolved")
            if (verdicts == words).any()
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
