"""What the notebooks of every study show of its corpus and its teacher: small tables made from its
artifacts.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gdlib.compare import baselines, stats
from gdlib.compare.scores import ACCURACY
from gdlib.compare.stats import Sample
from gdlib.core.errors import BadCorpus
from gdlib.studies.shared.study import TeachingStudy


def examples(study: TeachingStudy) -> pd.DataFrame:
    """The first labelled text of each class."""
    part, names = study.splits.train, study.class_names
    first = pd.Series(part.texts).groupby(part.labels).first()
    texts = first.reindex(range(len(names)), fill_value="")
    return pd.DataFrame({"label": names, "text": texts})


def word_counts(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def tfidf_curve(study: TeachingStudy, counts: Sequence[int]) -> pd.DataFrame:
    """TF-IDF + logistic regression at several numbers of labels per class, on the test part: arm,
    size (labels per class), value, low, high.

    A number the corpus has too few texts for is left out.
    """
    sizes, samples = [], []
    for count in sorted({*counts, study.settings.labels_per_class}):
        try:
            parts = study.split(labels_per_class=count, transfer_size=0)
        except BadCorpus:
            continue
        model = baselines.build("tfidf-lr", parts.labelled.texts, parts.labelled.labels)
        predicted = baselines.predict(model, parts.test.texts, len(parts.labels)).argmax(axis=-1)
        sizes.append(count)
        samples.append([Sample.of([predicted == np.array(parts.test.labels)])])
    found = zip(sizes, stats.intervals(samples, resamples=9999))
    rows = [{"arm": "tfidf-lr", "size": size} | around.columns() for size, around in found]
    return pd.DataFrame(rows, columns=["arm", "size", "value", "low", "high"])


def history(study: TeachingStudy, of: str = "teacher") -> pd.DataFrame:
    """The learning curve of the ``teacher`` or the ``generator``: step, train_loss, held_out."""
    artifact = study.trained_teacher() if of == "teacher" else study.trained_generator()
    looks = artifact.json("history.json")
    return pd.DataFrame({name: looks[name] for name in ("step", "train_loss", "held_out")})


def signal_counts(study: TeachingStudy) -> pd.DataFrame:
    """The teacher's signals by part: texts, mean confidence and entropy, accuracy where gold labels
    are known.
    """
    rows = []
    for name, part in study.splits.parts.items():
        signals, known = study.signals(part.texts), len(part.labels) == len(part)
        confidence = float(signals.probabilities.amax(-1).mean())
        accuracy = ACCURACY.of(part.labels, signals.predicted.numpy()) if known else np.nan
        rows.append([name, len(part), confidence, float(signals.entropy.mean()), accuracy])
    return pd.DataFrame(rows, columns=["part", "texts", "confidence", "entropy", "accuracy"])


def layer_probe(study: TeachingStudy) -> pd.DataFrame:
    """How well a linear classifier reads the classes off each kept layer: layer, accuracy on the
    held-out labelled texts.

    Logistic regression on the teacher's states of the training texts; the test part is not looked
    at.
    """
    train, held_out = study.splits.train, study.splits.validation
    seen, unseen = study.signals(train.texts).states, study.signals(held_out.texts).states
    rows = []
    for layer, states in seen.items():
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        probe.fit(states.numpy(), train.labels)
        rows.append([layer, probe.score(unseen[layer].numpy(), held_out.labels)])
    return pd.DataFrame(rows, columns=["layer", "accuracy"])
