"""Lexical knowledge over seeds: what its comparison asks, and what the answers cost."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from gdlib.compare.results import Results
from gdlib.compare.scores import SENSE_F1
from gdlib.compare.tables import MANY, RESAMPLES, Comparison
from gdlib.networks import gloss_vectors
from gdlib.networks.costs import Timed, measure, times_faster
from gdlib.networks.lexical_models import LexicalModel, VectorModel
from gdlib.sources.senses import Instance
from gdlib.sources.wordnet import POS
from gdlib.studies.lexical.baselines import FREQUENCY
from gdlib.studies.lexical.study import LexicalStudy, on_tests
from gdlib.studies.shared.compare import around, by_size

COMPARISON = Comparison(
    SENSE_F1,
    questions=(
        ("LMGC", "first sense"),
        ("LMGC", "similarity"),
        ("LMGC", "gloss pairs"),
        ("LMGC-M", "LMGC"),
        ("gloss vectors", "similarity"),
        ("gloss vectors", "LMGC"),
        ("gloss vectors", "first sense"),
        ("gloss vectors (sentence)", "gloss vectors"),
        ("gloss vectors (sentence)", "LMGC"),
        ("gloss vectors (sentence)", "first sense"),
        ("small (distilled)", "small (gold)"),
        ("small (distilled)", "LMGC"),
        ("LMGC" + FREQUENCY, "LMGC"),
        ("LMGC" + FREQUENCY, "first sense"),
        ("gloss vectors" + FREQUENCY, "gloss vectors"),
        ("gloss vectors" + FREQUENCY, "first sense"),
        ("gloss vectors" + FREQUENCY, "similarity" + FREQUENCY),
        ("small (distilled)" + FREQUENCY, "first sense"),
    ),
)
"""F1, over all test sets unless another choice of instances is named."""


def by_set(results: Results) -> pd.DataFrame:
    """F1 of every method (arm) over all test sets, and on every single one, a column each (the
    held-out one too), and on all of them with it; then ``seeds`` and ``model_seeds`` that it was
    trained with.
    """
    arms = results.table.groupby("arm", sort=False)
    parts = {part: results.items["part"] == part for part in dict.fromkeys(results.items["part"])}
    columns = {}
    for part, chosen in {**parts, "with held-out": results.items["part"].notna()}.items():
        scores = results.where(chosen).scores(SENSE_F1)
        columns[part] = arms["seed"].agg(lambda of_arm, scores=scores: scores[of_arm.index].mean())
    seeds = arms[["seed", "model_seed"]].nunique().set_axis(["seeds", "model_seeds"], axis=1)
    table = COMPARISON.arms(on_tests(results))
    return table.merge(pd.DataFrame(columns).join(seeds), left_on="arm", right_index=True)


def questions(results: Results) -> pd.DataFrame:
    """The paired differences of F1 over all test sets that were asked for."""
    return COMPARISON.differences(on_tests(results), resamples=MANY)


def abstract(study: LexicalStudy, table: pd.DataFrame, asked: pd.DataFrame) -> str:
    """What the comparison found, in sentences: of every trained arm beside the first sense."""
    settings, f1 = study.settings, table.set_index("arm")
    sentences = [
        f"On {settings.corpus}, the dictionary's first sense is right for "
        f"{f1.loc['first sense', 'value']:.1%} of the words."
    ]
    beyond = asked[asked["right"] == "first sense"].set_index("left")["words"]
    for arm in settings.arms:
        more = f", which is {beyond[arm]} more" if arm in beyond else ""
        sentences.append(f"{arm[0].upper()}{arm[1:]}: {around(f1.loc[arm])}{more}.")
    return " ".join(sentences)


def by_pos(results: Results) -> pd.DataFrame:
    """F1 of every method by part of speech (panel; ``pos``, with its ``instances``), on all test
    sets.
    """
    tests, tables = on_tests(results), []
    comparison = replace(COMPARISON, resamples=RESAMPLES)
    for pos in POS:
        part = tests.where(tests.items["pos"] == pos)
        if (instances := len(part.items)) > 1:
            panel = f"{pos} ({instances:,} instances)"
            tables.append(comparison.arms(part).assign(panel=panel, pos=pos, instances=instances))
    return pd.concat(tables, ignore_index=True)


def over_sizes(study: LexicalStudy) -> pd.DataFrame:
    """F1 over all test sets by number of training instances (``size``)."""
    runs = by_size(study, "train_instances")
    return study.kept(COMPARISON.sweep, {size: on_tests(run) for size, run in runs.items()})


def costs(study: LexicalStudy, instances: int = 32) -> tuple[pd.DataFrame, pd.DataFrame]:
    """:func:`measured`, once for the same models and instances."""
    models = study.make_models([study.model_plan(name) for name in study.settings.arms])
    return study.kept(measured, study, given=[models, study.data], instances=instances)


def measured(study: LexicalStudy, instances: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What an answer costs, of every trained arm, on real test instances; gloss vectors are made
    beforehand, and kept.

    Returns:
        ``sizes`` (arm, parameters, megaflops an instance) and ``times`` (arm, batch, ms an
        instance, times faster than LMGC): forward passes alone, float32, one thread, one run. Only
        the second varies from run to run.
    """
    tests = [each for part in study.data.tests.values() for each in part]
    queries = [each for each in tests if len(each.candidates) > 1][:instances]
    timed = {name: _timed(study, name, queries) for name in study.settings.arms}
    sizes, times = measure(timed, len(queries), repeats=1, warmup=2, counted=16)
    times["times faster"] = times_faster(times, "LMGC")
    times = times.rename(columns={"name": "arm", "ms a text": "ms an instance"})
    sizes = sizes.rename(columns={"name": "arm"})
    return sizes.drop(columns="bytes"), times.drop(columns=["p50", "p95"])


def _timed(study: LexicalStudy, name: str, queries: Sequence[Instance]) -> Timed:
    """An arm's model, and the inputs of some of the queries."""
    plan = study.model_plan(name)
    folder, coder = study.lexical_model(plan).path, study.coder(plan)
    if plan.form == "vectors":
        vectors, whole = VectorModel.load(folder).cpu(), plan.word_vector == "sentence"
        coded = coder.code(queries, prefix="lemma")
        return Timed(
            vectors,
            lambda batch: vectors.vectors(**batch),
            lambda rows: gloss_vectors.context_inputs(coder, [coded[i] for i in rows], whole),
        )
    model, coded = LexicalModel.load(folder).cpu(), coder.code(queries)
    pairs = [[(query, place) for place in range(len(query.glosses))] for query in coded]
    return Timed(
        model,
        lambda batch: model(**batch)[0],
        lambda rows: coder.pairs([pair for i in rows for pair in pairs[i]]),
    )
