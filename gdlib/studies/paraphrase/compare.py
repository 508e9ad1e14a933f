"""Detection of machine-made paraphrases over seeds: F1 in-tool and cross-tool, differences, and
what detecting costs.

A *cell* is (what is trained on, domain, spinner tested on): the domain's originals, and the
paraphrases of that spinner. F1 of a cell is the mean of both classes' F1, that of several cells
their mean. Resampled are sources: a text that all spinners rewrote is drawn with all its
paraphrases, an original with all cells that it stands in.
"""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch

from gdlib.compare import baselines
from gdlib.compare.results import Results
from gdlib.compare.scores import Score, class_counts, mean_f1
from gdlib.compare.tables import RESAMPLES, Comparison, decided
from gdlib.learn.batches import pad
from gdlib.networks import students
from gdlib.networks.costs import BATCHES, latency
from gdlib.networks.lexical_arms import ENCODERS
from gdlib.networks.teacher import Teacher, tokenize
from gdlib.sources import zoo
from gdlib.studies.paraphrase.detectors import LABELS
from gdlib.studies.paraphrase.settings import STUDENT, TFIDF, TOGETHER
from gdlib.studies.paraphrase.study import ParaphraseStudy
from gdlib.studies.shared.compare import by_size

Cell = tuple[str, str, str]
IN_TOOL, CROSS_TOOL, ONE_OF, LEFT_OUT = TOOLS = (
    *("in-tool", "cross-tool", "one of several", "the one left out"),
)
"""A detector that is trained on one spinner is tested on it or on another one, and one that is
trained on several is tested on these or on another one."""
COMPARISON = Comparison(
    Score(lambda added, _: added, mean_f1),
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


def cells(results: Results, domains: Sequence[str], tool: str) -> list[Cell]:
    """All cells of some domains that are of that kind (:data:`TOOLS`)."""
    tested = filter(None, results.items["spinner"].unique())
    return [
        (a, domain, b)
        for domain, a, b in product(domains, results.table["arm"].unique(), [*tested])
        if TOOLS[2 * (TOGETHER in a) + (b not in a.split(TOGETHER))] == tool
    ]


def on_cells(results: Results, wanted: Sequence[Cell]) -> Results:
    """What every source of the cells' domains adds to *right*, *predicted* and *gold* of both
    classes of each cell, by detector (arm): outputs ``[rows, sources, 3 * 2 * cells]``.
    """
    items, of_cells = results.items, []
    sources = np.unique(items["unit"][items["domain"].isin({domain for _, domain, _ in wanted})])
    for trained, domain, tested in wanted:
        inside = (items["domain"] == domain) & items["spinner"].isin(("", tested))
        cell = results.only(arm=trained).where(inside)
        added = class_counts(cell.outputs, cell.items["gold"], range(2))
        of_cell = np.zeros((len(added), len(sources), 3, 2), dtype=np.float32)
        places = np.searchsorted(sources, cell.items["unit"])
        of_cell[:, places] = added.reshape(*added.shape[:2], 3, 2)
        of_cells.append(of_cell)
    outputs = np.concatenate(of_cells, axis=-1).reshape(*of_cells[0].shape[:2], -1)
    table = cell.table.assign(arm=cell.table["student"])
    return Results(table, outputs, pd.DataFrame({"unit": sources}))


def matrix(results: Results, domain: str) -> pd.DataFrame:
    """F1 on one domain of every detector (arm), spinner trained on and spinner tested on:
    ``trained``, ``tested``.
    """
    tables = []
    for tool in TOOLS:
        for cell in cells(results, [domain], tool):
            table = COMPARISON.arms(on_cells(results, [cell]))
            tables.append(table.assign(trained=cell[0], tested=cell[2], tool=tool))
    return _grouped(tables, "arm", "trained", "tested")


def by_domain(results: Results) -> pd.DataFrame:
    """F1 of every detector (arm) by domain (panel) and ``tool`` (:data:`TOOLS`), averaged over what
    is trained on and the spinners tested on.

    ``found``: share of the paraphrases that are called so; ``spared``: share of the originals that
    are called original.
    """
    tables = []
    for domain, tool in product(results.items["domain"].unique(), TOOLS):
        if wanted := cells(results, [domain], tool):
            of_tool = on_cells(results, wanted)
            table = COMPARISON.arms(of_tool).assign(panel=domain, tool=tool)
            sums = [of_tool.only(arm=arm).outputs.sum(axis=(0, 1)) for arm in table["arm"]]
            right, _, gold = np.moveaxis(np.reshape(sums, (len(sums), 3, -1, 2)).sum(axis=2), 1, 0)
            table[["spared", "found"]] = right / gold  # by class
            tables.append(table)
    return _grouped(tables, "panel", "arm")


def differences(results: Results) -> pd.DataFrame:
    """Paired differences of F1 for the study's questions: ``tool`` in-tool, cross-tool and the one
    left out, ``where`` in the domain of training and in the others.
    """
    own, *others = results.items["domain"].unique()
    places = {own: [own]} | ({"other domains": others} if others else {})
    tables = []
    for tool, (where, domains) in product((IN_TOOL, CROSS_TOOL, LEFT_OUT), places.items()):
        if wanted := cells(results, domains, tool):
            table = COMPARISON.differences(on_cells(results, wanted), resamples=4999)
            tables.append(table.assign(panel=f"{tool}, in {where}", tool=tool, where=where))
    return decided(_grouped(tables, "question"))


def _grouped(tables: Sequence[pd.DataFrame], *columns: str) -> pd.DataFrame:
    """The tables as one; rows that are alike in the columns stand together, first come first."""
    table = pd.concat(tables, ignore_index=True)
    for column in reversed(table.columns.intersection(columns, sort=False)):
        places, _ = pd.factorize(table[column])
        table = table.iloc[np.argsort(places, kind="stable")]
    return table.reset_index(drop=True)


def over_sizes(study: ParaphraseStudy) -> pd.DataFrame:
    """F1 in the domain of training by number of training texts (``size``)."""
    runs = by_size(study, "train_texts")
    table = pd.concat([by_domain(run).assign(size=size) for size, run in runs.items()])
    return table[table["panel"] == study.own].reset_index(drop=True)


def costs(study: ParaphraseStudy, results: Results, texts: int = 256) -> pd.DataFrame:
    """What detectors cost: detector, batch, ms a text; from text to label, cutting into pieces
    included, one thread, one run.

    A time does not depend on what the weights are: the networks are timed as they are before
    training.
    """
    queries = study.cases["text"].tolist()[:texts]
    rows = [
        (detector, batch, milliseconds)
        for detector in results.table["student"].unique()
        for batch, milliseconds in _times(_answer(study, detector), queries)
    ]
    return pd.DataFrame(rows, columns=["detector", "batch", "ms a text"])


@torch.inference_mode()
def _times(answer: Callable[[list[str]], object], texts: list[str]) -> list[tuple[int, float]]:
    """Batch sizes, and milliseconds per text."""
    found = []
    for batch in BATCHES:
        starts = range(0, len(texts) - batch + 1, batch)[:64]
        groups = [texts[start : start + batch] for start in starts]
        found.append((batch, latency(answer, groups, repeats=1).p50 / batch))
    return found


def _answer(study: ParaphraseStudy, detector: str) -> Callable[[list[str]], object]:
    """What turns texts into logits or probabilities."""
    spinner = study.settings.spinners[0]
    if detector == TFIDF:
        train = study.detector_parts[spinner]["train"]
        model = baselines.build("tfidf-lr", train.texts, train.labels)
        return lambda texts: baselines.predict(model, texts, len(LABELS))
    if detector == STUDENT:
        student, vocabulary = study.new_student(spinner, 0)
        student.eval()
        return lambda texts: student(pad(vocabulary.rows(study.encoded(texts)), students.PAD))
    network, most = zoo.classifier(study.pretrained, LABELS), study.settings.max_length
    encoder = Teacher(network, study.encoder_tokenizer, most)
    return lambda texts: encoder.network(
        **encoder.collate(tokenize(encoder.tokenizer, texts, most))
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
