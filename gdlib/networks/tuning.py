"""An encoder under a new head is fine-tuned on a task: texts or pairs of texts, classes or a
number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gdlib.learn.batches import Batch, ask
from gdlib.learn.loop import History, seed_everything
from gdlib.networks import fine_tune as recipe
from gdlib.networks.encoders import compared, freeze, mean_state
from gdlib.networks.sense_coding import Coder, Joined
from gdlib.sources import zoo
from gdlib.sources.parts import Part
from gdlib.sources.tasks import Task

Metric = Callable[[np.ndarray, np.ndarray], Any]
"""Of what is right and what is predicted, higher is better."""


@dataclass(frozen=True, kw_only=True)
class TuningPlan(recipe.Plan):
    """How an encoder is fine-tuned, the same for every encoder; the weights that are best on the
    held-out texts are kept.

    Args:
        max_length: pieces of a text or pair; of a pair that is too long the longer text is cut.
        tuned_layers: the last so many layers learn; 0: all of them, and the embeddings.
        pooling: what the head reads, see :class:`TaskModel`.
    """

    max_length: int
    tuned_layers: int
    pooling: str


def encode(coder: Coder, part: Part) -> list[Joined]:
    """``[CLS] first [SEP]``, or ``[CLS] first [SEP] second [SEP]``, of each text or pair; of a pair
    that is too long the longer text is cut.
    """
    first = coder.pieces(part.texts)
    if not part.second:
        most = coder.max_length
        return [([coder.cls, *ids[: most - 2], coder.sep], most) for ids in first]
    room, rows = coder.max_length - 2 - len(coder.between), []
    for a, b in zip(first, coder.pieces(part.second)):
        a = a[: max(room // 2, room - len(b))]
        rows.append(coder.joined(a, b[: max(room - room // 2, room - len(a))]))
    return rows


class TaskModel(nn.Module):
    """An encoder under a new head, drawn from torch's generator.

    Args:
        network: the encoder.
        task: says how many logits, and whether of pairs.
        pooling: ``cls``: transformers' classifier, on the state of the first piece; ``parts``:
            linear in the mean state u of the text, or in ``[u, v, |u - v|, u * v]`` of both
            (Conneau et al. 2017), read together: for an encoder of sentences, whose first piece was
            never trained to say anything.
    """

    def __init__(self, network: zoo.Network, task: Task, pooling: str):
        super().__init__()
        self.classifier = zoo.classifier(network, task.labels or ("value",))
        self.outputs, self.pairs, self.head = len(task.labels) or 1, bool(task.train.second), None
        if pooling == "parts":
            self.classifier = self.classifier.base_model
            width = self.classifier.config.hidden_size
            self.head = nn.Linear((4 if self.pairs else 1) * width, self.outputs)

    def forward(self, second: Tensor, **inputs: Tensor) -> Tensor:
        """*Shape:* each ``[texts, length]`` -> ``[texts, labels]``."""
        if self.head is None:
            return self.classifier(**inputs).logits
        states = self.classifier(**inputs).last_hidden_state
        u = mean_state(states, inputs["attention_mask"].bool() & ~second)
        return self.head(compared(u, mean_state(states, second)) if self.pairs else u)


def tune(
    network: zoo.Network, task: Task, plan: TuningPlan, metric: Metric
) -> tuple[TaskModel, History]:
    """Fine-tune an encoder on a task; the weights kept are those with the best ``metric`` on the
    held-out part.
    """
    seed_everything(plan.seed)
    coder = Coder(zoo.tokenizer(network), plan.max_length)
    model = TaskModel(network, task, plan.pooling)
    freeze(model.classifier, plan.tuned_layers, pooler=plan.pooling == "cls")
    rows, checks = encode(coder, task.train), encode(coder, task.held_out)
    gold = targets(task, task.train)

    def inputs(chosen: list[int]) -> Batch:
        return coder.joined_inputs([rows[i] for i in chosen]) | {"gold": gold[chosen]}

    history = recipe.train(
        model,
        range(len(rows)),
        inputs,
        task_loss,
        lambda model: held_out_score(logits(model, coder, checks), task, metric),
        plan,
        length=lambda i: len(rows[i][0]),
    )
    return model, history


def scale(task: Task) -> tuple[float, float]:
    """Mean and standard deviation of the numbers to predict: the network predicts them in these
    units. Of classes: 0 and 1.
    """
    gold = task.train.gold
    return (0.0, 1.0) if task.labels else (float(gold.mean()), float(gold.std()) or 1.0)


def targets(task: Task, part: Part) -> Tensor:
    """What the network should predict of a part: class indices, or numbers in its units.

    *Shape:* ``[texts]``.
    """
    mean, deviation = scale(task)
    return torch.tensor(part.gold if task.labels else (part.gold - mean) / deviation)


def task_loss(model: TaskModel, batch: Batch) -> Tensor:
    """Cross-entropy; of numbers the mean squared error."""
    gold = batch.pop("gold")
    return _loss(model(**batch).float(), gold)


def _loss(logits: Tensor, gold: Tensor) -> Tensor:
    if gold.is_floating_point():
        return F.mse_loss(logits[:, 0], gold.float())
    return F.cross_entropy(logits, gold)


def logits(model: TaskModel, coder: Coder, rows: Sequence[Joined], batch: int = 32) -> Tensor:
    """*Shape:* ``[texts, labels]`` (numbers: ``[texts, 1]``), float32, on the CPU."""
    return ask(model, rows, coder.joined_inputs, width=model.outputs, batch=batch)


def predictions(logits: Tensor, task: Task) -> np.ndarray:
    """Classes, or numbers. *Shape:* ``[texts]``."""
    if task.labels:
        return logits.argmax(dim=-1).numpy()
    mean, deviation = scale(task)
    return logits[:, 0].double().numpy() * deviation + mean


def held_out_score(logits: Tensor, task: Task, metric: Metric) -> float:
    """What is chosen by, lower is better: one minus the task's metric; between equal ones, the
    loss.
    """
    part = task.held_out
    score = float(metric(part.gold, predictions(logits, task)))
    return 1 - score + float(_loss(logits, targets(task, part))) / 1000


def answer(model: TaskModel, network: zoo.Network, task: Task, plan: TuningPlan) -> np.ndarray:
    """What a fine-tuned model predicts of the test part. *Shape:* ``[texts]``."""
    coder = Coder(zoo.tokenizer(network), plan.max_length)
    return predictions(logits(model, coder, encode(coder, task.test)), task)
