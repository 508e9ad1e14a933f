"""What the notebooks of masked-language-model distillation show of a run: small tables made from
its artifacts.
"""

import numpy as np
import pandas as pd
import torch

from gdlib.learn import mixtures
from gdlib.learn.names import RULES, SEES_GOLD
from gdlib.networks.masked_lm import NOT_HIDDEN
from gdlib.studies.mlm.study import MLMStudy, Trial


def counts(study: MLMStudy) -> pd.DataFrame:
    """A row per part: part, texts, masked texts (each masking with something hidden), pieces (mean
    per text), hidden (pieces).
    """
    masked = study.masked.values()
    return pd.DataFrame(
        {
            "part": list(study.masked),
            "texts": [len(study.texts[part]) for part in study.masked],
            "masked texts": [len(part) for part in masked],
            "pieces": [np.mean(part.lengths) - 2 for part in masked],  # [CLS] and [SEP]
            "hidden": [len(part.gold) for part in masked],
        }
    )


def examples(study: MLMStudy, number: int = 6) -> pd.DataFrame:
    """Some masked texts of the students' part: what is read, and which pieces are hidden."""
    masked, words = study.masked["student"], study.tokenizer.convert_ids_to_tokens
    rows = []
    for inputs, targets in zip(masked.inputs[:number], masked.targets[:number]):
        hidden = study.guessed.ids[[piece for piece in targets if piece != NOT_HIDDEN]]
        rows.append((" ".join(words(inputs)[1:-1]), ", ".join(words(hidden.tolist()))))
    return pd.DataFrame(rows, columns=["read", "hidden"])


def frequency_loss(study: MLMStudy) -> float:
    """Held-out loss, nats, of a predictor that knows only how frequent the pieces are in the texts
    that are learnt from.
    """
    return float(-study.guessed.log_shares[study.masked["held_out"].gold].mean())


def vocabularies(study: MLMStudy) -> pd.DataFrame:
    """A row per teacher: the pieces of its vocabulary, how many of its ids differ from the
    reference's, and whether its head is its own.
    """
    ids = study.ids.values()
    return pd.DataFrame(
        {
            "teacher": list(study.ids),
            "shared pieces": [len(own) for own in ids],
            "ids that differ": [int((own != torch.arange(len(own))).sum()) for own in ids],
            "head": ["trained here" if study.head_of(name) else "its own" for name in study.ids],
        }
    )


def head_history(study: MLMStudy, name: str) -> pd.DataFrame:
    """The loss curve of a teacher's head; no row for a teacher that brings its head."""
    head = study.head_of(name)
    if head is None:
        return pd.DataFrame(columns=["step", "train_loss", "held_out"])
    return pd.read_parquet(head / "history.parquet")


def predictors(study: MLMStudy) -> pd.DataFrame:
    """Each teacher and each rule as a predictor of the held-out part: name, loss (nats), accuracy
    (share of positions at which the hidden piece is the likeliest), sees gold.
    """
    hidden, predictions = study.masked["held_out"].gold, study.predictions("held_out")
    rules, gate = (RULES, study.gate) if len(predictions) > 1 else ((), None)
    rows = []
    for name in (*predictions, *rules):
        mixed = mixtures.mixture(predictions, name, gate)
        gold = mixed.gold
        positions = torch.arange(len(hidden)).split(256)
        right = torch.cat([mixed(at).argmax(-1) == hidden[at] for at in positions])
        rows.append((name, -gold.mean().item(), right.float().mean().item(), name in SEES_GOLD))
    return pd.DataFrame(rows, columns=["name", "loss", "accuracy", "sees gold"])


def rest(study: MLMStudy) -> pd.DataFrame:
    """By teacher, on the students' part: the mean probability that is not on the kept pieces, mean
    entropy (nats), mean confidence.
    """
    rows = []
    for name, kept in study.predictions("student").items():
        likeliest = kept.log_probabilities[:, 0].exp()
        rows.append((name, *(float(v.mean()) for v in (kept.rest, kept.entropy, likeliest))))
    return pd.DataFrame(rows, columns=["teacher", "rest", "entropy", "confidence"])


def weights(study: MLMStudy) -> pd.DataFrame:
    """Mean weight of each teacher under each rule, over the students' masked positions: rule,
    teacher, weight.
    """
    predictions = study.predictions("student")
    rows = []
    for rule in RULES if len(predictions) > 1 else ():
        mean = mixtures.mixture(predictions, rule, study.gate).weights.mean(dim=1)
        rows += [(rule, name, weight) for name, weight in zip(predictions, mean.tolist())]
    return pd.DataFrame(rows, columns=["rule", "teacher", "weight"])


def labelling_seconds(study: MLMStudy) -> pd.DataFrame:
    """Seconds that each teacher cost before any student was trained: its head, and labelling the
    students' texts.
    """
    rows = []
    for name in study.networks:
        head, labelling = study.head_of(name), study.teacher_predictions(name, "student").seconds
        speed = len(study.masked["student"]) / labelling
        rows.append((name, head.seconds if head else 0.0, labelling, speed))
    return pd.DataFrame(rows, columns=["teacher", "head", "labelling", "texts/s"])


def training_seconds(study: MLMStudy) -> pd.DataFrame:
    """Seconds of training until every evaluation of every student: start, arm, seed, step,
    seconds. Of this machine.
    """
    tables = []
    for trial in study.trials:
        seconds = {"step": study.looks, "seconds": study.trained(trial, "seconds").tolist()}
        tables.append(pd.DataFrame(seconds).assign(**trial._asdict()))
    return pd.concat(tables, ignore_index=True)


def sizes(study: MLMStudy) -> pd.DataFrame:
    """A row per start: start, parameters of a student, its embeddings (tied to the head) counted
    once.
    """
    seed, arm = study.settings.student_seeds[0], study.arms[0]
    return pd.DataFrame(
        {"start": start, "parameters": int(study.trained(Trial(start, arm, seed), "parameters"))}
        for start in study.settings.starts
    )
