"""Detection of machine-made paraphrases over seeds: F1 in-tool and cross-tool, differences, and
what detecting costs.

A *cell* is (spinner trained on, domain, spinner tested on): the domain's originals, and the
paraphrases of that spinner. F1 of a cell is the mean of both classes' F1, that of several cells
their mean. Resampled are sources: a text that all spinners rewrote is drawn with all its
paraphrases, an original with all cells that it stands in.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch

from gdlib.compare import baselines, stats
from gdlib.compare.results import Results
from gdlib.compare.scores import MACRO_F1, class_counts
from gdlib.compare.stats import Sample
from gdlib.compare.tables import RESAMPLES, decided, difference_row
from gdlib.learn.batches import collate, pad
from gdlib.networks import students
from gdlib.networks.costs import BATCHES, latency
from gdlib.networks.lexical_arms import ENCODERS
from gdlib.networks.teacher import tokenize
from gdlib.sources import zoo
from gdlib.studies.paraphrase.detectors import LABELS
from gdlib.studies.paraphrase.settings import STUDENT, TFIDF
from gdlib.studies.paraphrase.study import ParaphraseStudy
from gdlib.studies.shared.compare import by_size

Cell = tuple[str, str, str]
IN_TOOL, CROSS_TOOL = "in-tool", "cross-tool"
QUESTIONS = (
    ("LMGC", "plain"),
    ("LMGC-M", "plain"),
    ("plain", TFIDF),
    (STUDENT, TFIDF),
    (STUDENT, "plain"),
)
"""The differences the study is about, the left detector minus the right one."""


def cells(spinners: Sequence[str], domains: Sequence[str], tool: str) -> list[Cell]:
    """All cells of some domains whose test spinner is (``in-tool``) or is not (``cross-tool``) that
    of training.
    """
    return [
        (a, domain, b)
        for domain, a, b in product(domains, spinners, spinners)
        if (a == b) is (tool == IN_TOOL)
    ]


def counts(results: Results, detector: str, wanted: Sequence[Cell]) -> np.ndarray:
    """What every source adds to *right*, *predicted* and *gold* of both classes of each cell.

    *Shape:* ``[sources, units, models, 3 * 2 * cells]``; the sources of the cells' domains, units
    of replication as :meth:`Results.units` has them.
    """
    items = results.items
    domains = items["domain"].isin({domain for _, domain, _ in wanted})
    sources, of_cells = np.unique(items["unit"][domains]), []
    for trained, domain, tested in wanted:
        inside = (items["domain"] == domain) & items["spinner"].isin(("", tested))
        cases, rows = items[inside], results.units(student=detector, arm=trained)
        outputs = results.outputs[rows.ravel()][:, inside]
        added = np.moveaxis(class_counts(outputs, cases["gold"], range(2)), 1, 0)
        of_cell = np.zeros((len(sources), *rows.shape, 3, 2), dtype=np.float32)
        place = np.searchsorted(sources, cases["unit"])
        of_cell[place] = added.reshape(len(cases), *rows.shape, 3, 2)
        of_cells.append(of_cell)
    whole = np.concatenate(of_cells, axis=-1)
    return whole.reshape(*whole.shape[:3], -1)


def detectors(results: Results) -> list[str]:
    """The detectors, in the order of the results."""
    return list(dict.fromkeys(results.table["student"]))


def trained_on(results: Results) -> list[str]:
    """The spinners whose paraphrases detectors were trained on."""
    return list(dict.fromkeys(results.table["arm"]))


def matrix(results: Results, domain: str) -> pd.DataFrame:
    """F1 on one domain of every detector (arm), spinner trained on and spinner tested on:
    ``trained``, ``tested``.
    """
    rows, spinners = [], trained_on(results)
    for detector, trained, tested in product(detectors(results), spinners, spinners):
        sample = Sample(MACRO_F1, counts(results, detector, [(trained, domain, tested)]))
        found = stats.interval(sample, resamples=RESAMPLES)
        rows.append({"arm": detector, "trained": trained, "tested": tested} | found.columns())
    return pd.DataFrame(rows)


def by_domain(results: Results) -> pd.DataFrame:
    """F1 of every detector (arm) by domain (panel) and ``tool``, in-tool or cross-tool, both
    directions averaged.

    ``found``: share of the paraphrases that are called so; ``spared``: share of the originals that
    are called original.
    """
    rows, domains = [], dict.fromkeys(results.items["domain"])
    for domain, detector, tool in product(domains, detectors(results), (IN_TOOL, CROSS_TOOL)):
        if wanted := cells(trained_on(results), [domain], tool):
            added = counts(results, detector, wanted)
            found = stats.interval(Sample(MACRO_F1, added), resamples=RESAMPLES)
            right, _, gold = added.sum(axis=(0, 1, 2)).reshape(3, -1, 2).sum(axis=1)
            shares = dict(zip(("spared", "found"), right / gold))  # by class
            row = {"panel": domain, "arm": detector, "tool": tool}
            rows.append(row | found.columns() | shares)
    return pd.DataFrame(rows)


def differences(results: Results) -> pd.DataFrame:
    """Paired differences of F1 for the study's questions: ``tool`` in-tool and cross-tool,
    ``where`` in the domain of training and in the others.
    """
    own, *others = dict.fromkeys(results.items["domain"])
    places = {own: [own]} | ({"other domains": others} if others else {})
    asked = [pair for pair in QUESTIONS if set(pair) <= set(detectors(results))]
    rows = []
    for pair, tool, (where, domains) in product(asked, (IN_TOOL, CROSS_TOOL), places.items()):
        if wanted := cells(trained_on(results), domains, tool):
            sides = (counts(results, detector, wanted) for detector in pair)
            found = stats.difference(Sample(MACRO_F1, *sides), resamples=4999)
            row = difference_row(f"{tool}, in {where}", *pair, found)
            rows.append(row | {"tool": tool, "where": where})
    return decided(pd.DataFrame(rows))


def over_sizes(study: ParaphraseStudy) -> pd.DataFrame:
    """F1 in the domain of training by number of training texts (``size``)."""
    runs = by_size(study, "train_texts")
    table = pd.concat([by_domain(run).assign(size=size) for size, run in runs.items()])
    return table[table["panel"] == study.own].reset_index(drop=True)


def costs(study: ParaphraseStudy, results: Results, texts: int = 256) -> pd.DataFrame:
    """What detectors cost: detector, batch, ms a text; from text to label, cutting into pieces
    included, one thread, one run.

    A time does not depend on what the weights are: the networks are timed as they are before
    training, and all encoders, which are of one shape, by one measurement.
    """
    asked, taken = study.cases["text"].tolist()[:texts], dict[str, list[float]]()
    for detector in detectors(results):
        kind = _kind(detector)
        if kind not in taken:
            call, taken[kind] = _call(study, detector), []
            for batch in BATCHES:
                groups = [asked[i : i + batch] for i in range(0, len(asked) - batch + 1, batch)][
                    : 64 if batch == 1 else None
                ]
                with torch.inference_mode():
                    taken[kind].append(latency(call, groups, repeats=1, cores=1).p50 / batch)
    rows = [
        (detector, batch, took)
        for detector in detectors(results)
        for batch, took in zip(BATCHES, taken[_kind(detector)])
    ]
    return pd.DataFrame(rows, columns=["detector", "batch", "ms a text"])


def _kind(detector: str) -> str:
    return detector if detector in (TFIDF, STUDENT) else "encoder"


def _call(study: ParaphraseStudy, detector: str) -> Callable[[list[str]], object]:
    spinner, network = study.settings.spinners[0], study.pretrained
    if detector == TFIDF:
        train = study.detector_parts[spinner]["train"]
        model = baselines.build("tfidf-lr", train.texts, train.labels)
        return lambda texts: baselines.predict(model, texts, len(LABELS))
    if detector == STUDENT:
        student, vocabulary = study.new_student(spinner, 0)
        student.eval()
        return lambda texts: student(pad(vocabulary.rows(study.encoded(texts)), students.PAD))
    tokenizer, most = study.encoder_tokenizer, study.settings.max_length
    encoder = zoo.classifier(network, LABELS).eval()
    return lambda texts: (
        encoder(**collate(tokenize(tokenizer, texts, most), tokenizer.pad_token_id)).logits
    )


def training(study: ParaphraseStudy, results: Results) -> pd.DataFrame:
    """Parameters and seconds: detector, parameters, seconds (of one training), lexical (of the
    lexical training before it).
    """
    means = (
        results.table.groupby("student", sort=False)[["parameters", "seconds"]]
        .mean()
        .reset_index(names="detector")
    )
    seed = study.encoder_seeds[study.settings.model_seeds[0]]
    means["lexical"] = [
        study.encoder_seconds(name, seed) if name in ENCODERS else 0.0 for name in means["detector"]
    ]
    return means.astype({"parameters": int})


def headline(table: pd.DataFrame, own: str) -> Iterator[tuple[str, float]]:
    """Key numbers of :func:`by_domain`: the best detector in-tool and cross-tool in the domain of
    training.
    """
    for tool in dict.fromkeys(table["tool"]):
        rows = table[(table["tool"] == tool) & (table["panel"] == own)]
        best = rows.loc[rows["value"].idxmax()]
        yield f"best {tool} F1 ({best['arm']})", float(best["value"])
