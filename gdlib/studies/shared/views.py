"""What the notebooks of every study show of its corpus and its teacher: small tables made from its
artifacts.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import entr
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gdlib.compare import baselines, stats
from gdlib.compare.scores import ACCURACY
from gdlib.compare.stats import Sample
from gdlib.core.errors import BadCorpus
from gdlib.networks.signals import Signals
from gdlib.sources import splits
from gdlib.studies.shared.study import TeachingStudy


def examples(study: TeachingStudy) -> pd.DataFrame:
    """The first labelled text of each class."""
    train, labels = study.splits.train, study.splits.labels
    first = {label: text for text, label in reversed(list(zip(train.texts, train.labels)))}
    return pd.DataFrame(
        [{"label": name, "text": first.get(i, "")} for i, name in enumerate(labels)]
    )


def word_counts(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def tfidf_curve(study: TeachingStudy, counts: Sequence[int]) -> pd.DataFrame:
    """TF-IDF + logistic regression at several numbers of labels a class, on the test part:
    arm, size (labels per class), value, low, high.

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
        said = baselines.predict(
            baselines.build("tfidf-lr", parts.labelled.texts, parts.labelled.labels),
            parts.test.texts,
            len(parts.labels),
        ).argmax(-1)
        interval = stats.interval(Sample.of([said == np.array(parts.test.labels)]), resamples=9999)
        rows.append(
            {
                "arm": "tfidf-lr",
                "size": count,
                "value": interval.value,
                "low": interval.low,
                "high": interval.high,
            }
        )
    return pd.DataFrame(rows)


def history(study: TeachingStudy, of: str = "teacher") -> pd.DataFrame:
    """The learning curve of the ``teacher`` or the ``generator``: step, train_loss, held_out."""
    artifact = study.trained_teacher() if of == "teacher" else study.trained_generator()
    looks = artifact.json("history.json")
    return pd.DataFrame({name: looks[name] for name in ("step", "train_loss", "held_out")})


def signal_counts(study: TeachingStudy) -> pd.DataFrame:
    """The teacher's signals by part: texts, accuracy where gold labels are known, mean confidence
    and entropy.
    """
    rows = []
    for name, part in study.splits.parts.items():
        signals = study.signals(part.texts)
        row = {
            "part": name,
            "texts": len(part),
            "confidence": float(signals.probabilities.amax(-1).mean()),
        }
        row["entropy"] = float(entropy(signals).mean())
        known = len(part.labels) == len(part)
        row["accuracy"] = (
            ACCURACY.of(part.labels, signals.predicted.numpy()) if known else float("nan")
        )
        rows.append(row)
    return pd.DataFrame(rows)


def entropy(signals: Signals) -> np.ndarray:
    """Entropy of the teacher's distribution, nats. *Shape:* ``[texts]``."""
    return entr(signals.probabilities.double().numpy()).sum(axis=-1)


def layer_probe(study: TeachingStudy) -> pd.DataFrame:
    """How well a linear classifier reads the classes off each kept layer: layer, accuracy on the
    held-out labelled texts.

    Logistic regression on the teacher's states of the training texts; the test part is not looked
    at.
    """
    train, held_out = study.splits.train, study.splits.validation
    seen, unseen = study.signals(train.texts).states, study.signals(held_out.texts).states
    rows = []
    for layer in seen:
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(
            seen[layer].numpy(), train.labels
        )
        rows.append(
            {"layer": layer, "accuracy": probe.score(unseen[layer].numpy(), held_out.labels)}
        )
    return pd.DataFrame(rows)
