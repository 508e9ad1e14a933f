"""What the notebooks of study 1 show of a run, and by one import also
:mod:`gdlib.studies.shared.views`.
"""

from dataclasses import replace

import pandas as pd
import torch

from gdlib.compare import metrics
from gdlib.sources.duplicates import sharing_runs
from gdlib.studies.generation.study import GenerationStudy
from gdlib.studies.shared import funnel, samples
from gdlib.studies.shared.views import (
    examples,
    history,
    signal_counts,
    tfidf_curve,
    word_counts,
)

__all__ = [
    "diversity",
    "examples",
    "first_look",
    "history",
    "kept",
    "perplexity",
    "recited",
    "repeated",
    "signal_counts",
    "tasters",
    "tfidf_curve",
    "with_names",
    "word_counts",
]


def perplexity(study: GenerationStudy) -> tuple[float, float]:
    """Held-out perplexity of the generator before and after fine-tuning."""
    looks = study.trained_generator().json("history.json")
    return looks["perplexity_before"], looks["perplexity_after"]


def first_look(study: GenerationStudy, number: int) -> pd.DataFrame:
    """A few samples with the study's decoding, as they come: text, ended. The study's own samples
    have other seeds.
    """
    plan = study.sampling_plan
    plan = replace(plan, seed=plan.seed + 10_000)
    rows = samples.write(study.generator, study.splits.train, plan, 0, number)
    return pd.DataFrame(rows, columns=["text", "ended"])


def kept(study: GenerationStudy) -> pd.DataFrame:
    """The samples that passed the funnel."""
    table = study.samples()
    return table[table["fate"] == "kept"]


def recited(study: GenerationStudy) -> pd.DataFrame:
    """Texts that share a run of ``overlap_words`` words with a labelled text: all samples, and real
    texts as the yardstick.
    """
    real = sharing_runs(
        study.splits.transfer.texts, study.splits.labelled.texts, study.settings.overlap_words
    )
    recited = {"generated (all)": study.samples()["memorised"].to_numpy(), "real unlabelled": real}
    return pd.DataFrame(
        [
            {"texts": name, "number": len(each), "recite": int(each.sum()), "share": each.mean()}
            for name, each in recited.items()
        ]
    )


def repeated(study: GenerationStudy, at_most: int = 10) -> pd.DataFrame:
    """The largest groups of near-duplicates among all samples: the first text of each, and how many
    ``texts`` it has.
    """
    table, _ = study.explored()
    sizes = table["group"][table["group"] >= 0].astype(int).value_counts()
    sizes = sizes[sizes > 1].head(at_most)
    return pd.DataFrame({"text": table["text"][sizes.index].tolist(), "texts": sizes.tolist()})


def diversity(study: GenerationStudy, number: int = 1000) -> pd.DataFrame:
    """Diversity of generated (kept) and real texts, at equal numbers of texts."""
    texts = {"generated": kept(study)["text"].tolist(), "real": study.splits.transfer.texts}
    number = min(number, *map(len, texts.values()))
    return pd.DataFrame(
        [{"texts": name} | metrics.diversity(each, sample=number) for name, each in texts.items()]
    )


def with_names(study: GenerationStudy, rows: pd.DataFrame) -> pd.DataFrame:
    """Samples to read: text, the teacher's three likeliest classes with their probabilities,
    confidence, entropy.
    """
    labels, best = study.splits.labels, []
    for logits in rows["teacher_logits"]:
        largest = torch.tensor(logits).softmax(-1).topk(min(3, len(labels)))
        pairs = zip(largest.indices.tolist(), largest.values.tolist())
        best.append(", ".join(f"{labels[index]} {share:.2f}" for index, share in pairs))
    return pd.DataFrame(
        {"text": rows["text"].tolist(), "the teacher": best, "entropy": rows["entropy"].to_numpy()}
    )


def tasters(study: GenerationStudy) -> pd.DataFrame:
    """Three kept samples with the teacher's view: the one that it is surest of, a typical one, and
    the one that it is least sure of; fewer where fewer were kept.
    """
    rows = pd.concat([rows for _, rows in funnel.gallery(study.samples(), each=1)])
    return with_names(study, rows[~rows.index.duplicated()])
