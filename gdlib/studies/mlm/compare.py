"""Masked-language-model distillation over seeds: convergence curves, steps to a loss, and what is
resolved.

A unit of replication is a student seed within one run; with several runs (seeds of the study) it is
a run, its students averaged. The texts of several runs are different ones; a pair of arms always
has the same texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gdlib.compare import stats
from gdlib.compare.results import Results
from gdlib.compare.scores import MEAN, Score
from gdlib.compare.stats import Sample
from gdlib.compare.tables import Comparison, decided, difference_row
from gdlib.learn.names import RULES
from gdlib.studies.mlm.settings import PLAIN_ARM, START_ARM, TWO_HEADS
from gdlib.studies.mlm.study import MLMStudy
from gdlib.studies.mlm.teachers import label
from gdlib.studies.mlm.views import labelling_seconds
from gdlib.studies.shared.compare import of_classifiers
from gdlib.studies.shared.verdicts import in_words

Array = NDArray[np.float64]
COMPARISON = Comparison(MEAN, unit="nats")
"""Losses: below 0, the left arm is the better one."""
GOAL = 0.7
"""The share of the best single teacher's steps in which a rule should be as low as that one."""


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
    def arms(self) -> list[str]:
        """In the order of the table."""
        return self.table["arm"].unique().tolist()

    @property
    def starts_and_arms(self) -> list[tuple[str, str]]:
        """In the order of the table."""
        return list(dict.fromkeys(zip(self.table["start"], self.table["arm"])))

    def losses(self, start: str, arm: str) -> Array:
        """*Shape:* ``[units, texts, looks]``, the models of a unit averaged."""
        return self.outputs[self.units(start=start, arm=arm)].mean(axis=1)

    def best_single(self, start: str) -> str:
        """The single teacher whose students end lowest. Chosen in hindsight, to its advantage."""
        return min(self.singles, key=lambda arm: self.losses(start, arm)[..., -1].mean())


def of_run(study: MLMStudy) -> Curves:
    """The curves of one run."""
    masked, names = study.masked["held_out"], ["start", "arm", "student_seed"]
    scale = len(masked) / len(masked.gold)
    losses = [study.trained(t, "losses").numpy().astype(np.float64).T for t in study.trials]
    return Curves(
        pd.DataFrame(study.trials, columns=names).assign(seed=study.settings.seed),
        scale * np.stack(losses),
        pd.DataFrame({"text": range(len(masked))}),
        np.array(study.looks, dtype=float),
        tuple(arm for arm in study.arms if arm in study.networks),
    )


def over_seeds(study: MLMStudy) -> Curves:
    """The curves of all seeds of a study, of as many texts each."""
    return Curves.stack_first([of_run(each) for each in study.each_seed()])


def mean_curves(curves: Curves) -> pd.DataFrame:
    """start, arm, step, loss, low, high (over seeds; NaN with one)."""
    rows = []
    for start, arm in curves.starts_and_arms:
        for step, losses in zip(curves.steps, curves.losses(start, arm).mean(axis=1).T):
            rows.append((start, arm, step, losses.mean(), *stats.over_seeds(losses)))
    return pd.DataFrame(rows, columns=["start", "arm", "step", "loss", "low", "high"])


def gaps(table: pd.DataFrame) -> pd.DataFrame:
    """How far each arm of :func:`mean_curves` is above plain MLM at the same step (below 0: lower):
    start, step, arm, value.
    """
    at = ["start", "step"]
    plain = table.loc[table["arm"] == PLAIN_ARM, [*at, "loss"]]
    both = table.merge(plain, on=at, suffixes=("", " of plain"))
    return both[[*at, "arm"]].assign(value=both["loss"] - both["loss of plain"])


def over_time(study: MLMStudy, curves: Curves) -> pd.DataFrame:
    """start, arm, seconds (of training, mean over students), labelling (seconds of all teachers an
    arm needs), loss.
    """
    key = ["start", "arm", "step"]
    rows = [
        (trial.start, trial.arm, *look)
        for trial in study.trials
        for look in zip(study.looks, study.trained(trial, "seconds").tolist())
    ]
    seconds = pd.DataFrame(rows, columns=[*key, "seconds"]).groupby(key).mean()
    table = mean_curves(curves).merge(seconds, left_on=key, right_index=True)
    cost = labelling_seconds(study, study.arms).set_index("teacher")
    cost = cost[["head", "labelling"]].sum(axis=1)
    heads = [[label(head) for head in study.heads_of(arm)] for arm in table["arm"]]
    labelling = [float(cost[names].sum()) for names in heads]
    return table.assign(labelling=labelling)


def area(losses: Array, steps: Array) -> Array:
    """The mean loss over the whole training (trapezoids): lower is faster.

    *Shape:* ``[..., looks]`` -> ``[...]``.
    """
    return np.trapezoid(losses, steps, axis=-1) / (steps[-1] - steps[0])


def differences(curves: Curves) -> pd.DataFrame:
    """Paired differences of the loss, a start per panel, for its :func:`questions`: ``measure`` is
    at the ``end`` or over the ``whole training``.
    """
    tables = []
    for start in curves.table["start"].unique():
        of_start = curves.only(start=start)
        measures = {
            "end": of_start.outputs[..., -1],
            "whole training": area(of_start.outputs, curves.steps),
        }
        for measure, losses in measures.items():
            results = replace(of_start, outputs=losses)
            table = COMPARISON.differences(results, questions(curves, start))
            tables.append(table.assign(panel=start, measure=measure))
    return decided(pd.concat(tables, ignore_index=True), COMPARISON.unit)


def questions(curves: Curves, start: str) -> list[tuple[str, str]]:
    """Every arm against plain MLM; every rule against the best single teacher, and against two
    heads of one.
    """
    pairs = [(arm, PLAIN_ARM) for arm in curves.arms if arm != PLAIN_ARM]
    if curves.singles:
        best = curves.best_single(start)
        others = [name for name in (best, TWO_HEADS) if name in curves.arms]
        pairs += [(arm, other) for other in others for arm in curves.arms if arm in RULES]
    return pairs


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
    share = np.divide(high - target, high - low, out=np.ones_like(high), where=high > low)
    return steps[before] + share.clip(0, 1) * (steps[place] - steps[before])


def steps_to(curves: Curves, targets: Mapping[str, str]) -> pd.DataFrame:
    """The share of the steps after which each arm is as low as another (``targets``, by start) at
    its end, unit by unit.

    Returns:
        A table of differences: ``left`` the arm, ``right`` the target, ``value`` the share with its
        intervals, ``p`` and ``resolved`` of its difference from :data:`GOAL`, ``reached`` how many
        of the ``units`` got there. One that does not counts as the last step: then the mean is too
        kind. The target stands among the arms: below 100% it touched its last loss before the end.
    """

    def beyond(loss: Array) -> Array:
        return crossing(loss[..., :-1], curves.steps, loss[..., -1]) / curves.steps[-1] - GOAL

    rows = []
    for start, arm in curves.starts_and_arms:
        losses, end = curves.losses(start, arm), curves.losses(start, targets[start])[..., -1:]
        both = np.concatenate([losses, end], axis=-1)  # [units, texts, looks and the target]
        sample = Sample(Score(MEAN.added, beyond), np.moveaxis(both, 0, 1)[:, :, None])
        around = stats.difference(sample)
        reached = int((losses.mean(axis=1).min(axis=-1) <= end.mean(axis=(1, 2)) + 1e-9).sum())
        row = difference_row(start, arm, targets[start], around)
        rows.append(row | {"reached": reached, "units": len(losses)})
    table = decided(pd.DataFrame(rows)).drop(columns=["question", "words"])
    table[["value", "low", "high", "seeds_low", "seeds_high"]] += GOAL
    return table


def reaches(table: pd.DataFrame, start: str) -> str:
    """One sentence per start: does a rule need less than :data:`GOAL` of the steps of the best
    single teacher? From :func:`steps_to`.
    """
    of_start = table[table["panel"] == start]
    rows = of_start[of_start["left"].isin(RULES)]
    words = f"less than {GOAL:.0%}: |more than {GOAL:.0%}: |{GOAL:.0%} not resolved: "
    verdicts = in_words(rows, "left", rows["value"] < GOAL, words)
    each = [
        f"{row['left']} {row['value']:.0%} [{row['low']:.0%}, {row['high']:.0%}]"
        + f" (got there: {row['reached']} of {row['units']})" * (row["reached"] < row["units"])
        for row in of_start.to_dict("records")
    ]
    return (
        f"**Start: {start}.** As low as {of_start['right'].iloc[0]} at its end, after a share of "
        f"its steps of {verdicts}. In full: {', '.join(each)}."
    )


def verdict(table: pd.DataFrame, start: str) -> str:
    """One sentence per start: do several teachers converge faster here? From :func:`differences`,
    over the whole training.
    """
    of_start = (table["panel"] == start) & (table["measure"] == "whole training")
    rows, parts = table[of_start & table["left"].isin(RULES)], []
    for against, group in rows.groupby("right", sort=False):
        words = in_words(group, "left", group["value"] < 0, "faster: |slower: |not resolved: ")
        parts.append(f"against {against} {words}")
    return f"**Start: {start}.** Several teachers " + " — ".join(parts) + "." if parts else ""


TUNED = of_classifiers()


def tuned_questions(results: Results) -> list[tuple[str, str]]:
    """Of the fine-tuned arms: each against TF-IDF, plain MLM, and the start without it."""
    arms = results.table["arm"][results.table["student"] != ""].unique()
    pairs = product(arms, ("tfidf-lr", PLAIN_ARM, START_ARM))
    return [pair for pair in pairs if pair[0] != pair[1] and pair != (START_ARM, PLAIN_ARM)]
