"""Detection of machine-made paraphrases over seeds: F1 in-tool and cross-tool, differences, and
what detecting costs.

A *cell* is (what is trained on, domain, spinner tested on): the domain's originals, and the
paraphrases of that spinner. F1 of a cell is the mean of both classes' F1, that of several cells
their mean. Resampled are sources: a text that all spinners rewrote is drawn with all its
paraphrases, an original with all cells that it stands in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from gdlib.compare import baselines
from gdlib.compare.results import Results
from gdlib.compare.scores import Score, class_counts, mean_f1
from gdlib.compare.tables import RESAMPLES, Comparison
from gdlib.networks import distillation
from gdlib.networks.costs import by_batch
from gdlib.networks.lexical_arms import ENCODERS
from gdlib.networks.teacher import Teacher, tokenize
from gdlib.sources import zoo
from gdlib.studies.paraphrase.detectors import LABELS
from gdlib.studies.paraphrase.settings import STUDENT, TFIDF, TOGETHER
from gdlib.studies.paraphrase.study import ParaphraseStudy
from gdlib.studies.shared.compare import around, by_size

Cell = tuple[str, str, str]
TOOLS = IN_TOOL, CROSS_TOOL, ONE_OF, LEFT_OUT = (
    "in-tool",
    "cross-tool",
    "one of several",
    "the one left out",
)
"""A detector that is trained on one spinner is tested on it or on another one, and one that is
trained on several is tested on these or on another one."""
IN = ", in "  # in the names of kinds of cells
COMPARISON = Comparison(
    Score(lambda added, _: added, mean_f1),
    panel="kind",
    questions=(
        ("LMGC", "plain"),
        ("LMGC-M", "plain"),
        ("plain", TFIDF),
        (STUDENT, TFIDF),
        (STUDENT, "plain"),
    ),
    resamples=RESAMPLES,
)
"""Of :func:`on_cells`; the differences that the study is about."""


def cells(results: Results, domains: Sequence[str]) -> dict[str, list[Cell]]:
    """All cells of some domains by their kind (:data:`TOOLS`), the kinds that are there."""
    found: dict[str, list[Cell]] = {tool: [] for tool in TOOLS}
    tested = [*filter(None, results.items["spinner"].unique())]
    for domain, a, b in product(domains, results.table["arm"].unique(), tested):
        tool = TOOLS[2 * (TOGETHER in a) + (b not in a.split(TOGETHER))]
        found[tool].append((a, domain, b))
    return {tool: wanted for tool, wanted in found.items() if wanted}


def on_cells(results: Results, kinds: Mapping[str, Sequence[Cell]]) -> Results:
    """What every source adds to *right*, *predicted* and *gold* of both classes of each cell, by
    detector (arm) and ``kind``: outputs ``[rows, sources, 3 * 2 * cells]``.

    ``kinds``: names to some cells each; where there are fewer than of another kind, nothing is
    added to what is left, which then does not count.
    """
    items, tables, outputs = results.items, [], []
    domains = {domain for wanted in kinds.values() for _, domain, _ in wanted}
    sources = np.unique(items["unit"][items["domain"].isin(domains)])
    most = max(map(len, kinds.values()))
    for kind, wanted in kinds.items():
        rows = results.only(arm=wanted[0][0]).table
        of_kind = np.zeros((len(rows), len(sources), 3, most, 2), dtype=np.float32)
        for place, (trained, domain, tested) in enumerate(wanted):
            inside = (items["domain"] == domain) & items["spinner"].isin(("", tested))
            cell = results.only(arm=trained).where(inside)
            added = class_counts(cell.outputs, cell.items["gold"], range(2))
            places, of_cell = np.searchsorted(sources, cell.items["unit"]), of_kind[..., place, :]
            of_cell[:, places] = added.reshape(len(rows), -1, 3, 2)
        outputs.append(of_kind.reshape(*of_kind.shape[:2], -1))
        tables.append(rows.assign(arm=rows["student"], kind=kind))
    return Results(
        pd.concat(tables, ignore_index=True),
        np.concatenate(outputs),
        pd.DataFrame({"unit": sources}),
    )


def matrix(results: Results, domain: str) -> pd.DataFrame:
    """F1 on one domain of every detector (arm), by what it was ``trained`` and is ``tested`` on;
    ``known``: whether that is the same, or a part of it.
    """
    wanted = sum(cells(results, [domain]).values(), [])
    named = {f"{cell[0]}{IN}{cell[2]}": [cell] for cell in wanted}
    table = COMPARISON.arms(on_cells(results, named))
    table[["trained", "tested"]] = table.pop("panel").str.split(IN, expand=True, regex=False)
    known = [b in a.split(TOGETHER) for a, b in zip(table["trained"], table["tested"])]
    return table.assign(known=known)


def by_domain(results: Results) -> pd.DataFrame:
    """F1 of every detector (arm) by domain (panel) and ``tool`` (:data:`TOOLS`), averaged over what
    is trained on and the spinners tested on.

    ``found``: share of the paraphrases that are called so; ``spared``: share of the originals that
    are called original.
    """
    kinds = {
        f"{tool}{IN}{domain}": wanted
        for domain in results.items["domain"].unique()
        for tool, wanted in cells(results, [domain]).items()
    }
    on = on_cells(results, kinds)
    table, rows = COMPARISON.arms(on), []
    for kind, arm in zip(table["panel"], table["arm"]):
        sums = on.only(kind=kind, arm=arm).outputs.sum(axis=(0, 1)).reshape(3, -1, 2).sum(axis=1)
        rows.append(sums[0] / sums[2])  # of what is gold, by class
    table[["spared", "found"]] = rows
    table[["tool", "panel"]] = table["panel"].str.split(IN, n=1, expand=True, regex=False)
    return table


def abstract(study: ParaphraseStudy, table: pd.DataFrame) -> str:
    """What :func:`by_domain` found in the domain of training, in sentences."""
    own = table[table["panel"] == study.own]
    several = " or of several" if own["tool"].isin([ONE_OF, LEFT_OUT]).any() else ""
    parts = [f"Detectors were trained in {study.own} on the paraphrases of one tool{several}."]
    names = (
        "that tool",
        "another tool",
        "one of their several tools",
        "a tool left out of several",
    )
    words = dict(zip(TOOLS, names))
    for tool, rows in own.groupby("tool", sort=False):
        f1 = [f"{row['arm']} {around(row)}" for row in rows.to_dict("records")]
        parts.append(f"Their F1 on the paraphrases of {words[tool]}: {', '.join(f1)}.")
    return " ".join(parts)


def differences(results: Results) -> pd.DataFrame:
    """Paired differences of F1 for the study's questions; panels: in-tool, cross-tool and the one
    left out, in the domain of training and in the others.
    """
    own, *others = results.items["domain"].unique()
    places = {own: [own]} | ({"other domains": others} if others else {})
    kinds = {
        f"{tool}{IN}{where}": wanted
        for where, domains in places.items()
        for tool, wanted in cells(results, domains).items()
        if tool != ONE_OF
    }
    return COMPARISON.differences(on_cells(results, kinds), resamples=4999)


def shifts(results: Results) -> pd.DataFrame:
    """What an unknown spinner costs every detector (panel) in the domain of training, and what
    training on several wins back: paired differences of F1 between kinds of :data:`TOOLS`.
    """
    on = on_cells(results, cells(results, [results.items["domain"].iloc[0]]))
    on = replace(on, table=on.table.assign(arm=on.table["kind"], kind=on.table["arm"]))
    pairs = ((CROSS_TOOL, IN_TOOL), (LEFT_OUT, ONE_OF), (LEFT_OUT, CROSS_TOOL))
    return COMPARISON.differences(on, pairs, resamples=4999)


def over_sizes(study: ParaphraseStudy) -> pd.DataFrame:
    """F1 in the domain of training by number of training texts (``size``)."""
    runs = by_size(study, "train_texts")
    tables = [study.kept(by_domain, run).assign(size=size) for size, run in runs.items()]
    table = pd.concat(tables)
    return table[table["panel"] == study.own].reset_index(drop=True)


def costs(study: ParaphraseStudy, results: Results, texts: int = 128) -> pd.DataFrame:
    """:func:`measured`, once for the same detectors and texts."""
    detectors, cases = results.table["student"].unique().tolist(), study.cases["text"].tolist()
    queries, trained = cases[:texts], study.trained_on[0]
    decide = [detectors, queries, study.pretrained, study.detector_parts[trained]]
    decide += [study.settings.max_length, results.table["parameters"].tolist()]
    return study.kept(measured, study, detectors, queries, given=decide)


def measured(study: ParaphraseStudy, detectors: Sequence[str], queries: list[str]) -> pd.DataFrame:
    """What detectors cost: detector, batch, ms a text; from text to label, cutting into pieces
    included, one thread, one run.

    A time does not depend on what the weights are: the networks are timed as they are before
    training.
    """
    rows = [
        (detector, batch, taken.p50 / batch)
        for detector in detectors
        for batch, taken in by_batch(
            _answer(study, detector), lambda rows: [queries[row] for row in rows], len(queries)
        )
    ]
    return pd.DataFrame(rows, columns=["detector", "batch", "ms a text"])


def _answer(study: ParaphraseStudy, detector: str) -> Callable[[list[str]], object]:
    """What turns texts into logits or probabilities."""
    trained = study.trained_on[0]
    if detector == TFIDF:
        train = study.detector_parts[trained]["train"]
        model = baselines.build("tfidf-lr", train.texts, train.labels)
        return lambda texts: baselines.predict(model, texts, len(LABELS))
    if detector == STUDENT:
        student, vocabulary = study.new_student(trained, 0)
        return lambda texts: distillation.predict(student, vocabulary.rows(study.encoded(texts)))
    network = zoo.classifier(study.pretrained, LABELS)
    encoder = Teacher(network, study.encoder_tokenizer, study.settings.max_length)
    return lambda texts: encoder.network(
        **encoder.collate(tokenize(encoder.tokenizer, texts, encoder.max_length))
    )


def training(study: ParaphraseStudy, results: Results) -> pd.DataFrame:
    """Parameters and seconds: detector, parameters, seconds (of one training), lexical (of the
    lexical training before it).
    """
    means = results.table.groupby("student", sort=False)[["parameters", "seconds"]].mean()
    seed = study.encoder_seeds[study.settings.model_seeds[0]]
    lexical = [
        study.encoder_seconds(name, seed) if name in ENCODERS else 0.0 for name in means.index
    ]
    means = means.assign(lexical=lexical).astype({"parameters": int})
    return means.reset_index(names="detector")
