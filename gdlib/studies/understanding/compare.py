"""Language understanding over seeds: what its comparison asks, and what the encoders cost."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from gdlib.compare import stats
from gdlib.compare.results import Results
from gdlib.compare.scores import ACCURACY, MEAN, SCORES
from gdlib.compare.tables import RESAMPLES, Comparison, decided, difference_row
from gdlib.networks.costs import Timed, measure
from gdlib.networks.lexical_arms import PLAIN
from gdlib.networks.sense_coding import Coder
from gdlib.networks.students import parameters
from gdlib.networks.tuning import TaskModel, encode
from gdlib.sources import zoo
from gdlib.studies.shared.compare import by_size
from gdlib.studies.shared.verdicts import in_words
from gdlib.studies.understanding.study import TaskResults, UnderstandingStudy

COMPARISON = Comparison(
    ACCURACY,  # in whose place every task has its own scores
    questions=(
        ("LMGC", PLAIN),
        ("LMGC-M", PLAIN),
        ("LMGC-M", "LMGC"),
        ("gloss pairs", PLAIN),
        ("distilled", PLAIN),
    ),
    resamples=RESAMPLES,
)
FORGETTING = Comparison(MEAN, questions=COMPARISON.questions, unit="nats")
"""Losses of hidden pieces: above 0, the left encoder has forgotten more."""
AVERAGE = "average"
ByTask = Mapping[str, TaskResults]


def _comparisons(results: ByTask) -> Iterator[tuple[TaskResults, Comparison, dict[str, object]]]:
    """Every task by each of its scores: its results, how they are compared, and the columns that
    say which it is; ``counts``: whether it is the first one.
    """
    for task, of_task in results.items():
        for name in of_task.scores:
            columns = {"panel": task, "metric": name, "counts": name == of_task.scores[0]}
            yield of_task, replace(COMPARISON, score=SCORES[name]), columns


def quality(results: ByTask) -> pd.DataFrame:
    """Every encoder (arm) on every task (panel) by each of its scores: ``metric``, ``counts``."""
    tables = [
        comparison.arms(of_task).assign(**columns)
        for of_task, comparison, columns in _comparisons(results)
    ]
    return pd.concat(tables, ignore_index=True)


def differences(results: ByTask) -> pd.DataFrame:
    """The questions, on every task and score (``metric``, ``counts``) and on the average of all
    tasks' first scores, whose texts are resampled task by task.
    """
    tables = [
        comparison.differences(of_task).assign(**columns)
        for of_task, comparison, columns in _comparisons(results)
    ]
    if len(results) > 1 and len(tables[0]):
        means = [
            average(results, left, right)
            for left, right in zip(tables[0]["left"], tables[0]["right"])
        ]
        tables.append(pd.DataFrame(means).assign(metric="first metrics", counts=True))
    return decided(pd.concat(tables, ignore_index=True))


def average(results: ByTask, left: str, right: str) -> dict[str, object]:
    """The mean over tasks of the differences of their first scores, a row of their table."""
    samples = [
        of_task.sample(SCORES[of_task.scores[0]], {"arm": left}, {"arm": right})
        for of_task in results.values()
    ]
    return difference_row(AVERAGE, left, right, stats.difference(*samples))


def verdicts(table: pd.DataFrame) -> Iterator[str]:
    """A sentence per question: where resolved for better, where for worse, where not, and the
    average.
    """
    for (left, right), rows in table[table["counts"]].groupby(["left", "right"], sort=False):
        is_mean = rows["panel"] == AVERAGE
        words = "better on |worse on |not resolved on "
        verdict = in_words(rows[~is_mean], "panel", rows["value"][~is_mean] > 0, words)
        mean = "".join(f" Average: {words}." for words in rows["words"][is_mean])
        yield f"**{left} against {right}**: {verdict}.{mean}"


def headline(table: pd.DataFrame) -> pd.DataFrame:
    """The row of :func:`differences` that answers each question: that of the average or, of one
    task, that of the score that counts.
    """
    return table[table["counts"]].groupby(["left", "right"], sort=False).tail(1)


def forgotten(by_dose: Mapping[int, Results]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The loss of hidden pieces by ``size``, the instances that the encoders were trained on: of
    every encoder (arm), and the paired differences, one family of them.
    """
    tables = [
        FORGETTING.differences(results).assign(panel=f"{dose:,} instances", size=dose)
        for dose, results in by_dose.items()
    ]
    differences = decided(pd.concat(tables, ignore_index=True), FORGETTING.unit)
    return FORGETTING.sweep(by_dose), differences


def forgotten_in_words(differences: pd.DataFrame) -> str:
    """What the largest dose did to the loss of hidden pieces, in a sentence."""
    most = differences[differences["size"] == differences["size"].max()]
    found = "; ".join(most["question"] + ": " + most["words"])
    return f"Loss of hidden words in frozen encoders, after {most['panel'].iloc[0]}: {found}."


def over_sizes(study: UnderstandingStudy) -> pd.DataFrame:
    """The first score by number of training texts (``size``), task (panel) and encoder (arm)."""
    runs = by_size(study, "train_texts")
    tables = []
    for task, of_task in next(iter(runs.values())).items():
        comparison = replace(COMPARISON, score=SCORES[of_task.scores[0]])
        sweep = study.kept(comparison.sweep, {size: run[task] for size, run in runs.items()})
        tables.append(sweep.assign(panel=task))
    return pd.concat(tables, ignore_index=True)


def costs(study: UnderstandingStudy, texts: int = 32) -> tuple[pd.DataFrame, pd.DataFrame]:
    """:func:`measured`, once for the same encoders and texts."""
    s = study.settings
    encoders = [study.encoder_of(name, s.tuning_seeds[0]) for name in s.encoders]
    decide = [s.encoders, encoders, study.tasks, s.tuning_length, s.tuning_pooling]
    return study.kept(measured, study, given=decide, texts=texts)


def measured(study: UnderstandingStudy, texts: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What an answer costs, of every encoder under a head, on test texts of every task; encoders of
    one shape are timed once per task.

    Returns:
        ``sizes`` (task, encoder, parameters, megaflops a text) and ``times`` (task, encoder, batch,
        ms a text): forward passes alone, float32, one thread, one run. Only the second varies from
        run to run.
    """
    s, found, sizes, times = study.settings, {}, [], []
    for encoder, task in product(s.encoders, study.tasks):
        timed = _timed(study, encoder, task, texts)
        shape = task, parameters(timed.network)
        if shape not in found:
            found[shape] = measure({encoder: timed}, texts, repeats=1, warmup=2)
        for tables, table in zip((sizes, times), found[shape]):
            tables.append(table.assign(task=task, encoder=encoder))
    sizes, times = (pd.concat(tables, ignore_index=True) for tables in (sizes, times))
    columns = ["task", "encoder", "parameters", "megaflops"]
    return sizes[columns], times[["task", "encoder", "batch", "ms a text"]]


def _timed(study: UnderstandingStudy, encoder: str, task: str, texts: int) -> Timed:
    """An encoder under a new head, and the inputs of the first test texts, over again if few."""
    s, data = study.settings, study.tasks[task]
    network = study.encoder_of(encoder, s.tuning_seeds[0])
    coder = Coder(zoo.tokenizer(network), s.tuning_length)
    rows = encode(coder, data.test.take([i % len(data.test) for i in range(texts)]))
    model = TaskModel(network, data, s.tuning_pooling)
    return Timed(
        model,
        lambda inputs: model(**inputs),
        lambda places: coder.joined_inputs([rows[i] for i in places]),
    )


def training(study: UnderstandingStudy, results: ByTask) -> pd.DataFrame:
    """Means over fine-tunings: task, encoder, steps (the one that was kept), seconds (with its
    test, on the machine that did it), lexical seconds (of an encoder, once).
    """
    table = pd.concat([of_task.table.assign(task=task) for task, of_task in results.items()])
    means = table.groupby(["task", "arm"], sort=False)[["steps", "seconds"]].mean()
    means = means.reset_index(names=["task", "encoder"])
    s = study.settings
    once = {
        encoder: np.mean([study.encoder_seconds(encoder, seed) for seed in s.model_seeds])
        for encoder in s.encoders
    }
    return means.assign(**{"lexical seconds": means["encoder"].map(once)})
