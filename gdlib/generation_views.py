"""Floor 4. What the notebooks of study 1 show of a run: small tables made from its artifacts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from gdlib import baselines, metrics, samples, splits, stats
from gdlib.errors import BadCorpus
from gdlib.generation import GenerationStudy
from gdlib.signals import Signals


def examples(study: GenerationStudy) -> pd.DataFrame:
    """The first labelled text of each class."""
    train, labels = study.splits.train, study.splits.labels
    first = {label: text for text, label in reversed(list(zip(train.texts, train.labels)))}
    return pd.DataFrame([{"label": name, "text": first.get(i, "")} for i, name in enumerate(labels)])


def word_counts(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def tfidf_curve(study: GenerationStudy, counts: Sequence[int]) -> pd.DataFrame:
    """TF-IDF + logistic regression at several numbers of labels a class, on the test part: labels_per_class, accuracy, low, high.

    A number the corpus has too few texts for is left out.
    """
    s, rows = study.settings, []
    for count in sorted({*counts, s.labels_per_class}):
        try:
            parts = splits.split(
                study.corpus,
                labels_per_class=count,
                validation_share=s.validation_share,
                transfer_size=0,
                test_size=s.test_size,
                seed=s.seed,
            )
        except BadCorpus:
            continue
        said = baselines.predict(baselines.build("tfidf-lr", parts.labelled), parts.test.texts, len(parts.labels)).argmax(-1)
        interval = stats.mean_interval(said == np.array(parts.test.labels))
        rows.append({"labels_per_class": count, "accuracy": interval.mean, "low": interval.low, "high": interval.high})
    return pd.DataFrame(rows)


def history(study: GenerationStudy, of: str) -> pd.DataFrame:
    """The learning curve of the ``teacher`` or the ``generator``: step, train_loss, held_out."""
    artifact = study.teacher_artifact if of == "teacher" else study.generator_artifact
    looks = artifact.json("history.json")
    return pd.DataFrame({name: looks[name] for name in ("step", "train_loss", "held_out")})


def signal_counts(study: GenerationStudy) -> pd.DataFrame:
    """The teacher's signals by part: texts, accuracy where gold labels are known, mean confidence and entropy."""
    rows = []
    for name, part in study.splits.parts.items():
        signals = study.signals(part.texts)
        row = {"part": name, "texts": len(part), "confidence": float(signals.probabilities.amax(-1).mean())}
        row["entropy"] = float(entropy(signals).mean())
        known = len(part.labels) == len(part)
        row["accuracy"] = metrics.accuracy(part.labels, signals.predicted.numpy()) if known else float("nan")
        rows.append(row)
    return pd.DataFrame(rows)


def entropy(signals: Signals) -> np.ndarray:
    """Entropy of the teacher's distribution, nats. *Shape:* ``[texts]``."""
    return metrics.entropy(signals.probabilities.numpy())


def perplexity(study: GenerationStudy) -> tuple[float, float]:
    """Held-out perplexity of the generator before and after fine-tuning."""
    kept = study.generator_artifact.json("history.json")
    return kept["perplexity_before"], kept["perplexity_after"]


def first_look(study: GenerationStudy, number: int) -> pd.DataFrame:
    """A few samples with the study's decoding, as they come (the study's own samples have other seeds)."""
    s, seed = study.settings, study.settings.seed + 10_000
    asked = list(samples.prompts_for(study.generator, 0, number, study.splits.train, s.prefix_tokens, seed))
    written = study.generator.sample(
        [ids for ids, _, _ in asked],
        max_new_tokens=s.max_new_tokens,
        temperature=s.sampling_temperature,
        top_p=s.top_p,
        top_k=s.top_k,
        seed=seed,
    )
    texts = study.generator.tokenizer.batch_decode([ids for ids, _ in written])
    return pd.DataFrame({"text": [p + t for (_, p, _), t in zip(asked, texts)], "ended": [ended for _, ended in written]})


def kept(study: GenerationStudy) -> pd.DataFrame:
    """The samples that passed the funnel."""
    table = study.samples()
    return table[table["fate"] == "kept"]


def recited(study: GenerationStudy) -> pd.DataFrame:
    """Texts that share a run of ``overlap_words`` words with a labelled text: all samples, and real texts as the yardstick."""
    real = samples.memorised(study.splits.transfer.texts, study.splits.labelled.texts, study.settings.overlap_words)
    rows = {"generated (all)": study.samples()["memorised"].to_numpy(), "real unlabelled": real}
    return pd.DataFrame([{"texts": name, "number": len(of), "recite": int(of.sum()), "share": of.mean()} for name, of in rows.items()])


def diversity(study: GenerationStudy, number: int = 1000) -> pd.DataFrame:
    """Diversity of generated (kept) and real texts, at equal numbers of texts."""
    texts = {"generated": kept(study)["text"].tolist(), "real": study.splits.transfer.texts}
    number = min(number, *map(len, texts.values()))
    return pd.DataFrame([{"texts": name} | metrics.diversity(of, sample=number) for name, of in texts.items()])


def with_names(study: GenerationStudy, rows: pd.DataFrame) -> pd.DataFrame:
    """Samples to read: text, the teacher's three likeliest classes with their probabilities, confidence, entropy."""
    labels = study.splits.labels
    shares = torch.tensor(np.stack(rows["teacher_logits"])).softmax(-1) if len(rows) else torch.empty(0, len(labels))
    best = [", ".join(f"{labels[i]} {p:.2f}" for p, i in zip(*(x.tolist() for x in one.topk(min(3, len(labels)))))) for one in shares]
    return pd.DataFrame({"text": rows["text"].tolist(), "the teacher": best, "entropy": rows["entropy"].to_numpy()})
