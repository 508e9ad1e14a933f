"""Lexical knowledge over seeds: what its comparison asks, and what the answers cost."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import torch

from gdlib.compare.sense_results import ALL, Answers
from gdlib.compare.wording import counted
from gdlib.networks import gloss_vectors
from gdlib.networks.costs import BATCHES, latency, operations
from gdlib.networks.lexical_arms import ARMS
from gdlib.networks.pairs import LexicalModel
from gdlib.networks.students import parameters
from gdlib.sources.senses import Instance
from gdlib.studies.lexical.baselines import BASELINES
from gdlib.studies.lexical.study import LexicalStudy

QUESTIONS = (
    ("LMGC", "first sense"),
    ("LMGC", "similarity"),
    ("LMGC", "gloss pairs"),
    ("LMGC-M", "LMGC"),
    ("gloss vectors", "similarity"),
    ("gloss vectors", "LMGC"),
    ("small, distilled", "small, gold"),
    ("small, distilled", "LMGC"),
)
"""(method, other method): the differences the study is about."""


def over_sizes(study: LexicalStudy) -> pd.DataFrame:
    """F1 on ALL by number of training instances: size, method, f1."""
    s, rows = study.settings, []
    for size in sorted({s.train_instances, *s.labels_sweep}):
        answers = study.over_seeds(train_instances=size)
        rows += [
            {"size": size, "method": method, "f1": answers.units(method).mean()}
            for method in answers.methods
        ]
    return pd.DataFrame(rows)


def questions(answers: Answers) -> list[tuple[str, str]]:
    """The questions whose methods were run."""
    return [(one, other) for one, other in QUESTIONS if {one, other} <= set(answers.methods)]


def costs(study: LexicalStudy, instances: int = 32) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What an answer costs, of every trained arm, on real test instances; gloss vectors are made
    beforehand, and kept.

    Returns:
        ``sizes`` (method, parameters, megaflops an instance) and ``times`` (method, batch, ms an
        instance, times faster than LMGC): forward passes alone, float32, one thread, one run. Only
        the second varies from run to run.
    """
    asked = [one for part in study.data.tests.values() for one in part if len(one.candidates) > 1][
        :instances
    ]
    sizes, times = [], []
    for name in study.settings.arms:
        model, call, inputs = _calls(study, name, asked)
        flops = operations(call, [inputs([i]) for i in range(min(16, len(asked)))])
        sizes.append({"method": name, "parameters": parameters(model), "megaflops": flops / 1e6})
        for batch in BATCHES:
            groups = [list(range(i, i + batch)) for i in range(0, len(asked) - batch + 1, batch)]
            with torch.inference_mode():
                took = latency(
                    call, [inputs(rows) for rows in groups], repeats=1, warmup=2, cores=1
                )
            times.append({"method": name, "batch": batch, "ms an instance": took.p50 / batch})
    frame = pd.DataFrame(times, columns=["method", "batch", "ms an instance"])
    base = frame[frame["method"] == "LMGC"].set_index("batch")["ms an instance"]
    frame["times faster"] = frame["batch"].map(base) / frame["ms an instance"]
    return pd.DataFrame(sizes), frame


def _calls(study: LexicalStudy, name: str, asked: Sequence[Instance]) -> tuple[Any, Any, Any]:
    """An arm's model, what answering calls, and the inputs of some of the instances."""
    plan = study.model_plan(name)
    folder, coder = study.lexical_model(plan).path, study.coder(plan)
    if plan.form == "vectors":
        model = gloss_vectors.VectorModel.load(folder).cpu()
        coded, whole = coder.code(asked, prefix="lemma"), plan.word_vector == "sentence"
        return (
            model,
            lambda x: model.vectors(**x),
            lambda rows: gloss_vectors.context_inputs(coder, [coded[i] for i in rows], whole),
        )
    model = LexicalModel.load(folder).cpu()
    coded = coder.code(asked)
    pairs = [[(one, place) for place in range(len(one.glosses))] for one in coded]
    return (
        model,
        lambda x: model(**x)[0],
        lambda rows: coder.pairs([pair for i in rows for pair in pairs[i]]),
    )


def headline(table: pd.DataFrame) -> Iterator[tuple[str, float]]:
    """Key numbers of the table of F1: the best baseline, and every arm."""
    at = table.set_index("method")[ALL]
    yield "best baseline", float(at[[name for name in BASELINES if name in at]].max())
    for name in ARMS:
        if name in at:
            yield name, float(at[name])


def units(answers: Answers) -> str:
    """What the means are over, in words."""
    seeds, models = (
        answers.table["seed"].nunique(),
        answers.table["model_seed"][answers.table["model_seed"] >= 0].nunique(),
    )
    return f"{counted(seeds, 'seed')} x {counted(models, 'model seed')}"


def seeds_shown(answers: Answers) -> int:
    """How many units of randomness the intervals over seeds have."""
    seeds = answers.table["seed"].nunique()
    return (
        seeds
        if seeds > 1
        else answers.table["model_seed"][answers.table["model_seed"] >= 0].nunique()
    )


def quality(sizes: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """F1 on ALL of the trained methods beside what they cost."""
    return sizes.merge(
        table.rename(columns={ALL: "f1"})[["method", "f1", "low", "high"]], on="method"
    )
