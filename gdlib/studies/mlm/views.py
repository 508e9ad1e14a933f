"""What the notebooks of masked-language-model distillation show of a run: small tables made from
its artifacts.
"""

import numpy as np
import pandas as pd
import torch

from gdlib.learn import mixtures as teachers
from gdlib.learn.mixtures import RULES, SEES_GOLD
from gdlib.networks.masked_lm import NOT_ASKED
from gdlib.studies.mlm.settings import PLAIN_ARM
from gdlib.studies.mlm.study import MLMStudy, Trial


def counts(study: MLMStudy) -> pd.DataFrame:
    """A row a part: part, texts, maskings with something hidden, pieces (mean), hidden pieces."""
    rows = []
    for name, masked in study.masked.items():
        pieces = np.mean(masked.lengths) - 2  # [CLS] and [SEP]
        rows.append(
            {
                "part": name,
                "texts": len(study.texts[name]),
                "masked texts": len(masked),
                "pieces": pieces,
                "hidden": len(masked.gold),
            }
        )
    return pd.DataFrame(rows)


def examples(study: MLMStudy, number: int = 6) -> pd.DataFrame:
    """Some masked texts of the students' part: what is read, and what is to be guessed."""
    masked, words = study.masked["student"], study.tokenizer.convert_ids_to_tokens
    rows = []
    for inputs, targets in zip(masked.inputs[:number], masked.targets[:number]):
        hidden = study.guessed.ids[[piece for piece in targets if piece != NOT_ASKED]]
        rows.append(
            {"read": " ".join(words(inputs)[1:-1]), "hidden": ", ".join(words(hidden.tolist()))}
        )
    return pd.DataFrame(rows)


def frequency_loss(study: MLMStudy) -> float:
    """Held-out loss, nats, of one who knows nothing but how frequent the guessed pieces are, in the
    texts that are learnt from.
    """
    return float(-study.guessed.log_shares[study.masked["held_out"].gold].mean())


def vocabularies(study: MLMStudy) -> pd.DataFrame:
    """A row a teacher: pieces of its vocabulary, ids that differ from the reference's, has it a
    head of its own.
    """
    rows = []
    for name, ids in study.ids.items():
        moved = int((ids != torch.arange(len(ids))).sum())
        head = "trained here" if study.head_artifact(name) else "its own"
        rows.append(
            {"teacher": name, "shared pieces": len(ids), "ids that differ": moved, "head": head}
        )
    return pd.DataFrame(rows)


def head_history(study: MLMStudy, name: str) -> pd.DataFrame:
    """The loss curve of a teacher's head; no row where it brought its own."""
    artifact = study.head_artifact(name)
    return (
        pd.read_parquet(artifact / "history.parquet")
        if artifact
        else pd.DataFrame(columns=["step", "train_loss", "held_out"])
    )


def predictors(study: MLMStudy) -> pd.DataFrame:
    """Each teacher and each rule as a predictor of the held-out part: name, loss (nats), accuracy,
    sees the hidden piece.

    Accuracy is the share of positions at which the hidden piece is the likeliest.
    """
    masked, said = study.masked["held_out"], study.kept["held_out"]
    gate = study.gate if len(said) > 1 else None
    rows = []
    for name in (*said, *(RULES if len(said) > 1 else ())):
        mixed = teachers.mixture(said, name, gate)
        gold = teachers.mixed_gold(torch.stack([kept.gold for kept in mixed.kept]), mixed.weights)
        right = torch.cat(
            [
                mixed(at).argmax(-1) == masked.gold[at]
                for at in torch.arange(len(masked.gold)).split(256)
            ]
        )
        rows.append(
            {
                "name": name,
                "loss": -gold.mean().item(),
                "accuracy": right.float().mean().item(),
                "sees gold": name in SEES_GOLD,
            }
        )
    return pd.DataFrame(rows)


def rest(study: MLMStudy) -> pd.DataFrame:
    """By teacher: the mean probability that is not on the kept pieces, mean entropy (nats), mean
    confidence; students' part.
    """
    return pd.DataFrame(
        {
            "teacher": name,
            "rest": float(kept.rest.mean()),
            "entropy": float(kept.entropy.mean()),
            "confidence": float(kept.log_probabilities[:, 0].exp().mean()),
        }
        for name, kept in study.kept["student"].items()
    )


def weights(study: MLMStudy) -> pd.DataFrame:
    """Mean weight of each teacher under each rule, over the students' masked positions: rule,
    teacher, weight.
    """
    said = study.kept["student"]
    rows = []
    for rule in RULES if len(said) > 1 else ():
        mixed = teachers.mixture(said, rule, study.gate)
        rows += [
            {"rule": rule, "teacher": name, "weight": float(share)}
            for name, share in zip(said, mixed.weights.mean(dim=1))
        ]
    return pd.DataFrame(rows, columns=["rule", "teacher", "weight"])


def labelling_seconds(study: MLMStudy) -> pd.DataFrame:
    """Seconds that each teacher cost before any student was trained: its head, and labelling the
    students' texts.
    """
    rows = []
    for name in study.networks:
        head, kept = study.head_artifact(name), study.kept_artifact(name, "student")
        texts = len(study.masked["student"])
        rows.append(
            {
                "teacher": name,
                "head": head.seconds if head else 0.0,
                "labelling": kept.seconds,
                "texts/s": texts / kept.seconds,
            }
        )
    return pd.DataFrame(rows)


def paid_for(study: MLMStudy, arm: str) -> tuple[str, ...]:
    """The teachers that had to label for an arm."""
    if arm == PLAIN_ARM:
        return ()
    return (arm,) if arm in study.networks else tuple(study.networks)


def sizes(study: MLMStudy) -> pd.DataFrame:
    """A row a start: start, parameters of a student, its embeddings (tied to the head) counted
    once.
    """
    seed, arm = study.settings.student_seeds[0], study.arms[0]
    return pd.DataFrame(
        {"start": start, "parameters": int(study.trained(Trial(start, arm, seed), "parameters"))}
        for start in study.settings.starts
    )
