"""What the notebooks of study 1 show of a run, and by one import also
:mod:`gdlib.studies.shared.views`.
"""

import numpy as np
import pandas as pd
import torch

from gdlib.compare import metrics
from gdlib.studies.generation.study import GenerationStudy
from gdlib.studies.shared import samples
from gdlib.studies.shared.views import (
    entropy,
    examples,
    history,
    signal_counts,
    tfidf_curve,
    word_counts,
)

__all__ = [
    "diversity", "entropy", "examples", "first_look", "history", "kept", "perplexity", "recited", "signal_counts", "tfidf_curve",
    "with_names", "word_counts",
]  # fmt: skip


def perplexity(study: GenerationStudy) -> tuple[float, float]:
    """Held-out perplexity of the generator before and after fine-tuning."""
    kept = study.trained_generator().json("history.json")
    return kept["perplexity_before"], kept["perplexity_after"]


def first_look(study: GenerationStudy, number: int) -> pd.DataFrame:
    """A few samples with the study's decoding, as they come (the study's own samples have other
    seeds).
    """
    s, seed = study.settings, study.settings.seed + 10_000
    asked = list(
        samples.prompts_for(study.generator, 0, number, study.splits.train, s.prefix_tokens, seed)
    )
    written = study.generator.sample(
        [ids for ids, _, _ in asked],
        max_new_tokens=s.max_new_tokens,
        temperature=s.sampling_temperature,
        top_p=s.top_p,
        top_k=s.top_k,
        seed=seed,
    )
    texts = study.generator.tokenizer.batch_decode([ids for ids, _ in written])
    return pd.DataFrame(
        {
            "text": [p + t for (_, p, _), t in zip(asked, texts)],
            "ended": [ended for _, ended in written],
        }
    )


def kept(study: GenerationStudy) -> pd.DataFrame:
    """The samples that passed the funnel."""
    table = study.samples()
    return table[table["fate"] == "kept"]


def recited(study: GenerationStudy) -> pd.DataFrame:
    """Texts that share a run of ``overlap_words`` words with a labelled text: all samples, and real
    texts as the yardstick.
    """
    real = samples.memorised(
        study.splits.transfer.texts, study.splits.labelled.texts, study.settings.overlap_words
    )
    rows = {"generated (all)": study.samples()["memorised"].to_numpy(), "real unlabelled": real}
    return pd.DataFrame(
        [
            {"texts": name, "number": len(of), "recite": int(of.sum()), "share": of.mean()}
            for name, of in rows.items()
        ]
    )


def diversity(study: GenerationStudy, number: int = 1000) -> pd.DataFrame:
    """Diversity of generated (kept) and real texts, at equal numbers of texts."""
    texts = {"generated": kept(study)["text"].tolist(), "real": study.splits.transfer.texts}
    number = min(number, *map(len, texts.values()))
    return pd.DataFrame(
        [{"texts": name} | metrics.diversity(of, sample=number) for name, of in texts.items()]
    )


def with_names(study: GenerationStudy, rows: pd.DataFrame) -> pd.DataFrame:
    """Samples to read: text, the teacher's three likeliest classes with their probabilities,
    confidence, entropy.
    """
    labels = study.splits.labels
    shares = (
        torch.tensor(np.stack(rows["teacher_logits"])).softmax(-1)
        if len(rows)
        else torch.empty(0, len(labels))
    )
    best = [
        ", ".join(
            f"{labels[i]} {p:.2f}"
            for p, i in zip(*(x.tolist() for x in one.topk(min(3, len(labels)))))
        )
        for one in shares
    ]
    return pd.DataFrame(
        {"text": rows["text"].tolist(), "the teacher": best, "entropy": rows["entropy"].to_numpy()}
    )
