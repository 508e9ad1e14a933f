"""What the notebooks of masked-language-model distillation show of a run: small tables made from
its artifacts.
"""

from collections.abc import Iterable

import pandas as pd
import torch

from gdlib.learn import mixtures
from gdlib.learn.names import RULES, SEES_GOLD
from gdlib.networks.masked_lm import NOT_HIDDEN
from gdlib.studies.mlm.settings import SINGLE
from gdlib.studies.mlm.study import MLMStudy
from gdlib.studies.mlm.teachers import label


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


def predictors(study: MLMStudy) -> pd.DataFrame:
    """Each teacher and each rule as a predictor of the held-out part: name, loss (nats), accuracy
    (share of positions at which the hidden piece is the likeliest), sees gold.
    """
    hidden, rows = study.masked["held_out"].gold, []
    for name in study.named([SINGLE, *RULES]):
        mixed = study.lessons(name, "held_out")
        gold = mixed.gold
        positions = torch.arange(len(hidden)).split(256)
        right = torch.cat([mixed(at).argmax(-1) == hidden[at] for at in positions])
        rows.append((name, -gold.mean().item(), right.float().mean().item(), name in SEES_GOLD))
    return pd.DataFrame(rows, columns=["name", "loss", "accuracy", "sees gold"])


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


def labelling_seconds(study: MLMStudy, arms: Iterable[str] = ()) -> pd.DataFrame:
    """Seconds that each teacher of some arms (none given: each alone) cost before any student was
    trained: its head, and labelling the students' texts.
    """
    rows = []
    for of in study.heads_for(arms or study.networks):
        head, labelling = study.head_of(*of), study.teacher_predictions("student", of).seconds
        speed = len(study.masked["student"]) / labelling
        rows.append((label(of), head.seconds if head else 0.0, labelling, speed))
    return pd.DataFrame(rows, columns=["teacher", "head", "labelling", "texts/s"])
