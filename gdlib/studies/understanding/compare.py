"""Language understanding over seeds: what its comparison asks, and what the encoders cost."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gdlib.compare import stats
from gdlib.compare.task_metrics import METRICS
from gdlib.compare.wording import counted
from gdlib.learn.batches import Batch
from gdlib.networks.costs import BATCHES, latency, operations
from gdlib.networks.lexical_arms import PLAIN
from gdlib.networks.sense_coding import Coder
from gdlib.networks.students import parameters
from gdlib.networks.tuning import TaskCoder, TaskModel
from gdlib.sources import zoo
from gdlib.studies.understanding.study import Said, UnderstandingStudy

QUESTIONS = (
    ("LMGC", PLAIN),
    ("LMGC-M", PLAIN),
    ("LMGC-M", "LMGC"),
    ("gloss pairs", PLAIN),
    ("distilled", PLAIN),
)
"""(encoder, other encoder): the differences the study is about."""
AVERAGE = "average"


def quality(results: Mapping[str, Said]) -> pd.DataFrame:
    """Every encoder on every task by each of its metrics: task, metric, counts (is it the first
    one), encoder, score, low, high.
    """
    rows = []
    for task, said in results.items():
        for metric in said.metrics:
            for encoder in said.encoders:
                interval = stats.metric_interval(said.gold, said.units(encoder), METRICS[metric])
                row = {
                    "task": task,
                    "metric": metric,
                    "counts": metric == said.metrics[0],
                    "encoder": encoder,
                }
                rows.append(
                    row | {"score": interval.value, "low": interval.low, "high": interval.high}
                )
    return pd.DataFrame(rows)


def differences(results: Mapping[str, Said]) -> pd.DataFrame:
    """The questions, on every task and metric and on the average of all tasks' first metrics.

    Returns:
        task, metric, counts, encoder, against, difference, low, high, seeds_low, seeds_high, p,
        resolved, sentence. The average's interval over texts takes the tasks' bootstraps as
        independent (their texts are).
    """
    rows = []
    first = next(iter(results.values()))
    for one, other in [pair for pair in QUESTIONS if set(pair) <= set(first.encoders)]:
        for task, said in results.items():
            for metric in said.metrics:
                d = stats.paired_metric_difference(
                    said.gold, said.units(one), said.units(other), METRICS[metric]
                )
                rows.append(
                    {"task": task, "metric": metric, "counts": metric == said.metrics[0]}
                    | _row(one, other, d)
                )
        if len(results) > 1:
            rows.append(
                {"task": AVERAGE, "metric": "first metrics", "counts": True}
                | _row(one, other, average(results, one, other))
            )
    return pd.DataFrame(rows)


def _row(one: str, other: str, d: stats.Difference) -> dict[str, object]:
    row = {
        "encoder": one,
        "against": other,
        "difference": d.value,
        "low": d.low,
        "high": d.high,
        "seeds_low": d.seeds_low,
    }
    return row | {
        "seeds_high": d.seeds_high,
        "p": d.p,
        "resolved": d.resolved,
        "sentence": f"{one} minus {other}: {d.describe()}",
    }


def average(
    results: Mapping[str, Said], one: str, other: str, resamples: int = 1999
) -> stats.Difference:
    """The mean over tasks of the differences of their first metrics; the percentile interval of
    resampling every task's texts.
    """
    by_unit, drawn = [], []
    for place, said in enumerate(results.values()):
        metric, a, b, random = (
            METRICS[said.metrics[0]],
            said.units(one),
            said.units(other),
            np.random.default_rng(place),
        )
        by_unit.append((metric(said.gold, a) - metric(said.gold, b)).mean(axis=1))
        found = []
        for _ in range(resamples):
            rows = random.integers(len(said.gold), size=len(said.gold))
            found.append(
                (
                    metric(said.gold[rows], a[..., rows]) - metric(said.gold[rows], b[..., rows])
                ).mean()
            )
        drawn.append(found)
    means, of = np.mean(by_unit, axis=0), np.mean(drawn, axis=0)
    low, high = np.quantile(of, [0.025, 0.975])
    p = min(1.0, 2 * min((of <= 0).mean(), (of >= 0).mean()) + 1 / resamples)
    texts = sum(len(said.gold) for said in results.values())
    return stats.Difference(
        float(means.mean()),
        float(low),
        float(high),
        *stats.over_seeds(means, 0.95),
        len(means),
        texts,
        float(p),
    )


def verdicts(table: pd.DataFrame) -> Iterator[str]:
    """A sentence a question: where resolved for better, where for worse, where not, and the
    average.
    """
    for (one, other), of in table[table["counts"]].groupby(["encoder", "against"], sort=False):
        tasks = of[of["task"] != AVERAGE]
        better, worse = (
            tasks[tasks["resolved"] & (sign * tasks["difference"] > 0)]["task"].tolist()
            for sign in (1, -1)
        )
        open_ = [task for task in tasks["task"] if task not in better + worse]
        parts = [
            f"{what} on {', '.join(names)}"
            for what, names in (("better", better), ("worse", worse), ("not resolved", open_))
            if names
        ]
        mean = [
            sentence.partition(": ")[2] for sentence in of["sentence"][of["task"] == AVERAGE]
        ]  # of one task there is none
        yield f"**{one} against {other}**: {'; '.join(parts)}." + (
            f" Average: {mean[0]}." if mean else ""
        )


def headline(table: pd.DataFrame) -> pd.DataFrame:
    """The row of :func:`differences` that answers each question: that of the average or, of one
    task, that of the metric that counts.
    """
    return table[table["counts"]].groupby(["encoder", "against"], sort=False).tail(1)


def over_sizes(study: UnderstandingStudy) -> pd.DataFrame:
    """The first metric by number of training texts: task, encoder, size, score."""
    s, rows = study.settings, []
    for size in sorted({s.train_texts, *s.labels_sweep}):
        for task, said in study.over_seeds(train_texts=size).items():
            rows += [
                {
                    "task": task,
                    "encoder": one,
                    "size": size,
                    "score": said.score(one, said.metrics[0]),
                }
                for one in said.encoders
            ]
    return pd.DataFrame(rows)


def costs(study: UnderstandingStudy, texts: int = 32) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What an answer costs, of every encoder under a head, on test texts of every task; encoders of
    one shape are timed once a task.

    Returns:
        ``sizes`` (task, encoder, parameters, megaflops a text) and ``times`` (task, encoder, batch,
        ms a text): forward passes alone, float32, one thread, one run. Only the second varies from
        run to run.
    """
    sizes, times, measured = [], [], dict[tuple[str, int], list[float]]()
    for encoder in study.settings.encoders:
        network = study.encoder_of(encoder, study.settings.tuning_seeds[0])
        coder = TaskCoder(Coder(zoo.tokenizer(network), study.settings.tuning_length))
        for name, task in study.tasks.items():
            model = TaskModel(network, task, study.settings.tuning_pooling).eval()
            call, rows = (
                partial(_logits, model),
                coder.rows(task.test.take([i % len(task.test) for i in range(texts)])),
            )
            if (shape := (name, parameters(model))) not in measured:
                measured[shape] = [operations(call, [coder.inputs([row]) for row in rows]) / 1e6]
                for batch in BATCHES:
                    groups = [
                        coder.inputs(rows[i : i + batch])
                        for i in range(0, len(rows) - batch + 1, batch)
                    ]
                    with torch.inference_mode():
                        measured[shape].append(
                            latency(call, groups, repeats=1, warmup=2, cores=1).p50 / batch
                        )
            megaflops, *took = measured[shape]
            sizes.append(
                {
                    "task": name,
                    "encoder": encoder,
                    "parameters": parameters(model),
                    "megaflops": megaflops,
                }
            )
            times += [
                {"task": name, "encoder": encoder, "batch": batch, "ms a text": ms}
                for batch, ms in zip(BATCHES, took, strict=True)
            ]
    return pd.DataFrame(sizes), pd.DataFrame(times)


def _logits(model: TaskModel, inputs: Batch) -> Tensor:
    return model(**inputs)


def training(study: UnderstandingStudy, results: Mapping[str, Said]) -> pd.DataFrame:
    """Seconds of training on the machine that did it: task, encoder, seconds (a fine-tuning with
    its test), lexical seconds (an encoder, once).
    """
    once = {
        encoder: np.mean(
            [study.encoder_seconds(encoder, seed) for seed in study.settings.model_seeds]
        )
        for encoder in study.settings.encoders
    }
    table = pd.concat([said.table.assign(task=task) for task, said in results.items()])
    table = table.groupby(["task", "encoder"], sort=False)["seconds"].mean().reset_index()
    return table.assign(**{"lexical seconds": table["encoder"].map(once)})


def steps(results: Mapping[str, Said]) -> pd.DataFrame:
    """The step that was kept, mean over fine-tunings: task, encoder, steps."""
    table = pd.concat([said.table.assign(task=task) for task, said in results.items()])
    return table.groupby(["task", "encoder"], sort=False)["steps"].mean().reset_index()


def units(results: Mapping[str, Said]) -> str:
    """What the means are over, in words."""
    table = next(iter(results.values())).table
    seeds, tunings = table["seed"].nunique(), table["tuning_seed"].nunique()
    return f"{counted(seeds, 'seed')} x {counted(tunings, 'fine-tuning')}"


def seeds_shown(results: Mapping[str, Said]) -> int:
    """How many units of randomness the intervals over seeds have."""
    said: Sequence[Said] = list(results.values())
    return len(said[0].units(said[0].encoders[0]))
