"""Lexical knowledge over seeds: what its comparison asks, and what the answers cost."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch

from gdlib.compare.results import Results
from gdlib.compare.scores import SENSE_F1
from gdlib.compare.tables import MANY, RESAMPLES, Comparison
from gdlib.networks import gloss_vectors
from gdlib.networks.costs import BATCHES, latency, operations
from gdlib.networks.lexical_arms import ARMS
from gdlib.networks.lexical_models import LexicalModel, VectorModel
from gdlib.networks.students import parameters
from gdlib.sources.senses import Instance
from gdlib.sources.wordnet import POS
from gdlib.studies.lexical.baselines import BASELINES
from gdlib.studies.lexical.study import LexicalStudy, on_tests
from gdlib.studies.shared.compare import by_size

COMPARISON = Comparison(
    SENSE_F1,
    questions=(
        ("LMGC", "first sense"),
        ("LMGC", "similarity"),
        ("LMGC", "gloss pairs"),
        ("LMGC-M", "LMGC"),
        ("gloss vectors", "similarity"),
        ("gloss vectors", "LMGC"),
        ("small, distilled", "small, gold"),
        ("small, distilled", "LMGC"),
    ),
)
"""F1, over all test sets unless another choice of instances is named."""


def by_set(results: Results) -> pd.DataFrame:
    """F1 of every method (arm) over all test sets, and on every single one, a column each (the
    held-out one too): then ``seeds`` and ``model_seeds`` that it was trained with.
    """
    arms = results.table.groupby("arm", sort=False)
    columns = {}
    for part in dict.fromkeys(results.items["part"]):
        scores = results.where(results.items["part"] == part).scores(SENSE_F1)
        columns[part] = arms["seed"].agg(lambda of_arm, scores=scores: scores[of_arm.index].mean())
    seeds = arms[["seed", "model_seed"]].nunique().set_axis(["seeds", "model_seeds"], axis=1)
    table = COMPARISON.arms(on_tests(results))
    return table.merge(pd.DataFrame(columns).join(seeds), left_on="arm", right_index=True)


def questions(results: Results) -> pd.DataFrame:
    """The paired differences of F1 over all test sets that were asked for."""
    return COMPARISON.differences(on_tests(results), resamples=MANY)


def by_pos(results: Results) -> pd.DataFrame:
    """F1 of every method by part of speech (``pos``, with its ``instances``), on all test sets."""
    tests, tables = on_tests(results), []
    comparison = replace(COMPARISON, resamples=RESAMPLES)
    for pos in POS:
        part = tests.where(tests.items["pos"] == pos)
        if len(part.items) > 1:
            tables.append(comparison.arms(part).assign(pos=pos, instances=len(part.items)))
    return pd.concat(tables, ignore_index=True)


def over_sizes(study: LexicalStudy) -> pd.DataFrame:
    """F1 over all test sets by number of training instances (``size``)."""
    runs = by_size(study, "train_instances")
    return COMPARISON.sweep({size: on_tests(run) for size, run in runs.items()})


def costs(study: LexicalStudy, instances: int = 32) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What an answer costs, of every trained arm, on real test instances; gloss vectors are made
    beforehand, and kept.

    Returns:
        ``sizes`` (arm, parameters, megaflops an instance) and ``times`` (arm, batch, ms an
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
        sizes.append({"arm": name, "parameters": parameters(model), "megaflops": flops / 1e6})
        for batch in BATCHES:
            groups = [list(range(i, i + batch)) for i in range(0, len(asked) - batch + 1, batch)]
            with torch.inference_mode():
                took = latency(
                    call, [inputs(rows) for rows in groups], repeats=1, warmup=2, cores=1
                )
            times.append({"arm": name, "batch": batch, "ms an instance": took.p50 / batch})
    frame = pd.DataFrame(times, columns=["arm", "batch", "ms an instance"])
    base = frame[frame["arm"] == "LMGC"].set_index("batch")["ms an instance"]
    frame["times faster"] = frame["batch"].map(base) / frame["ms an instance"]
    return pd.DataFrame(sizes), frame


def _calls(study: LexicalStudy, name: str, asked: Sequence[Instance]) -> tuple[Any, Any, Any]:
    """An arm's model, what answering calls, and the inputs of some of the instances."""
    plan = study.model_plan(name)
    folder, coder = study.lexical_model(plan).path, study.coder(plan)
    if plan.form == "vectors":
        model = VectorModel.load(folder).cpu()
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
    f1 = table.set_index("arm")["value"]
    yield "best baseline", float(f1[f1.index.isin(list(BASELINES))].max())
    for name in ARMS:
        if name in f1:
            yield name, float(f1[name])


def quality(sizes: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """F1 over all test sets of the trained methods beside what they cost."""
    return sizes.merge(table[["arm", "value", "low", "high"]], on="arm")
