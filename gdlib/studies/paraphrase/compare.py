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

from gdlib.compare import baselines, f1_stats
from gdlib.compare.results import Results
from gdlib.compare.wording import counted
from gdlib.learn.batches import collate, pad
from gdlib.networks import students
from gdlib.networks.costs import BATCHES, latency
from gdlib.networks.lexical_arms import ENCODERS
from gdlib.networks.teacher import tokenize
from gdlib.sources import zoo
from gdlib.studies.paraphrase.detectors import LABELS
from gdlib.studies.paraphrase.settings import STUDENT, TFIDF
from gdlib.studies.paraphrase.study import ParaphraseStudy

Cell = tuple[str, str, str]
IN_TOOL, CROSS_TOOL = "in-tool", "cross-tool"
QUESTIONS = (
    ("LMGC", "plain"),
    ("LMGC-M", "plain"),
    ("plain", TFIDF),
    (STUDENT, TFIDF),
    (STUDENT, "plain"),
)
"""(detector, other detector): the differences the study is about."""


def cells(spinners: Sequence[str], domains: Sequence[str], tool: str) -> list[Cell]:
    """All cells of some domains whose test spinner is (``in-tool``) or is not (``cross-tool``) that
    of training.
    """
    return [
        (a, domain, b)
        for domain, a, b in product(domains, spinners, spinners)
        if (a == b) is (tool == IN_TOOL)
    ]


def counts(
    results: Results, cases: pd.DataFrame, detector: str, wanted: Sequence[Cell]
) -> np.ndarray:
    """What every source adds to *right*, *predicted* and *gold* of both classes of each cell.

    *Shape:* ``[sources, seeds, 3, 2 * cells]``; the sources of the cells' domains, a row a seed and
    model seed.
    """
    domains = cases["domain"].isin({domain for _, domain, _ in wanted})
    units = np.unique(cases["unit"][domains])
    seeds = len(results.rows(student=detector, arm=wanted[0][0]))
    found = np.zeros((len(units), seeds, 3, 2 * len(wanted)), dtype=np.float32)
    for place, (trained, domain, tested) in enumerate(wanted):
        of = np.flatnonzero((cases["domain"] == domain) & cases["spinner"].isin(("", tested)))
        rows = (
            results.rows(student=detector, arm=trained).sort_values(["seed", "student_seed"]).index
        )
        at, gold = (
            np.searchsorted(units, cases["unit"].to_numpy()[of]),
            results.items["gold"].to_numpy()[of],
        )
        for label in range(2):
            said, true = results.outputs[rows][:, of].T == label, (gold == label)[:, None]
            found[at, :, :, 2 * place + label] = np.stack(
                np.broadcast_arrays(said & true, said, true), axis=-1
            )
    return found


def detectors(results: Results) -> list[str]:
    return list(dict.fromkeys(results.table["student"]))


def trained_on(results: Results) -> list[str]:
    return list(dict.fromkeys(results.table["arm"]))


def matrix(results: Results, cases: pd.DataFrame, domain: str) -> pd.DataFrame:
    """F1 on one domain of every detector, spinner trained on and spinner tested on: detector,
    trained, tested, f1, low, high.
    """
    rows = []
    for detector, trained, tested in product(
        detectors(results), trained_on(results), trained_on(results)
    ):
        interval = f1_stats.count_interval(
            counts(results, cases, detector, [(trained, domain, tested)]), resamples=1999
        )
        rows.append(
            {
                "detector": detector,
                "trained": trained,
                "tested": tested,
                "f1": interval.value,
                "low": interval.low,
                "high": interval.high,
            }
        )
    return pd.DataFrame(rows)


def by_domain(results: Results, cases: pd.DataFrame) -> pd.DataFrame:
    """F1 of every detector in-tool and cross-tool, both directions averaged: domain, detector,
    tool, f1, low, high, found, spared.

    ``found``: share of the paraphrases that are called so; ``spared``: share of the originals that
    are called original.
    """
    rows = []
    for domain, detector, tool in product(
        dict.fromkeys(cases["domain"]), detectors(results), (IN_TOOL, CROSS_TOOL)
    ):
        if wanted := cells(trained_on(results), [domain], tool):
            of = counts(results, cases, detector, wanted)
            interval = f1_stats.count_interval(of, resamples=1999)
            right, _, gold = of.sum(axis=(0, 1)).reshape(3, -1, 2).sum(axis=1)  # [class] each
            spared, found = right / gold
            row = {
                "domain": domain,
                "detector": detector,
                "tool": tool,
                "f1": interval.value,
                "low": interval.low,
                "high": interval.high,
            }
            rows.append(row | {"found": found, "spared": spared})
    return pd.DataFrame(rows)


def differences(results: Results, cases: pd.DataFrame) -> pd.DataFrame:
    """Paired differences of F1 for the study's questions, in-tool and cross-tool, in the domain of
    training and in the others.

    Columns: detector, against, tool, where, difference, low, high, seeds_low, seeds_high, p,
    resolved, sentence.
    """
    own, *others = dict.fromkeys(cases["domain"])
    places = {own: [own]} | ({"other domains": others} if others else {})
    asked = [(one, other) for one, other in QUESTIONS if {one, other} <= set(detectors(results))]
    rows = []
    for (one, other), tool, (where, domains) in product(
        asked, (IN_TOOL, CROSS_TOOL), places.items()
    ):
        if wanted := cells(trained_on(results), domains, tool):
            d = f1_stats.paired_count_difference(
                *(counts(results, cases, name, wanted) for name in (one, other)), resamples=4999
            )
            row = {
                "detector": one,
                "against": other,
                "tool": tool,
                "where": where,
                "difference": d.value,
                "low": d.low,
                "high": d.high,
            }
            row |= {
                "seeds_low": d.seeds_low,
                "seeds_high": d.seeds_high,
                "p": d.p,
                "resolved": d.resolved,
            }
            rows.append(
                row
                | {"sentence": f"**{one}** minus **{other}**, {tool}, in {where}: {d.describe()}."}
            )
    return pd.DataFrame(rows)


def over_sizes(study: ParaphraseStudy) -> pd.DataFrame:
    """F1 in the domain of training by number of training texts: size, detector, tool, f1, low,
    high.
    """
    s, tables = study.settings, []
    for size in sorted({s.train_texts, *s.labels_sweep}):
        table = by_domain(study.over_seeds(train_texts=size), study.cases)
        tables.append(table[table["domain"] == study.own].assign(size=size))
    return pd.concat(tables, ignore_index=True)


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
        of = table[(table["tool"] == tool) & (table["domain"] == own)]
        best = of.loc[of["f1"].idxmax()]
        yield f"best {tool} F1 ({best['detector']})", float(best["f1"])


def units(results: Results) -> str:
    """What the means are over, in words."""
    seeds, models = results.table["seed"].nunique(), results.table["student_seed"].nunique()
    return f"{counted(seeds, 'seed')} x {counted(models, 'model seed')}"


def seeds_shown(results: Results) -> int:
    """How many units of randomness the intervals over seeds have."""
    return len(results.table[["seed", "student_seed"]].drop_duplicates())
