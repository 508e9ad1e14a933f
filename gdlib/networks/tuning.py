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

from gdlib.learn.batches import Batch, autocast, batches_by_length, in_batches
from gdlib.learn.loop import History, Regime, fit, seed_everything
from gdlib.networks.layers import freeze
from gdlib.networks.sense_coding import Coder
from gdlib.sources import zoo
from gdlib.sources.tasks import Task, Texts

POOLINGS = ("cls", "parts")
Metric = Callable[[np.ndarray, np.ndarray], Any]
"""Of what is right and what is predicted, higher is better."""


@dataclass(frozen=True)
class TuningPlan:
    """How an encoder is fine-tuned, the same for every encoder.

    Args:
        epochs: passes over the training texts; the best look at the held-out ones is kept.
        lr: peak learning rate, linear warm-up and decay.
        batch: texts a step.
        max_length: pieces of a text or pair; of a pair that is too long the longer text is cut.
        tuned_layers: the last so many layers learn; 0: all of them, and the embeddings.
        pooling: what the head reads, see :class:`TaskModel`.
        seed: of the head, the order and dropout.
        looks: looks at the held-out part an epoch.
    """

    epochs: int
    lr: float
    batch: int
    max_length: int
    tuned_layers: int
    pooling: str
    seed: int
    looks: int = 2


class TaskCoder:
    """Texts as inputs of an encoder: ``[CLS] first [SEP]`` or ``[CLS] first [SEP] second [SEP]``."""

    def __init__(self, coder: Coder):
        self.coder = coder

    def rows(self, texts: Texts) -> list[tuple[list[int], int]]:
        """The pieces of each text or pair, and at which of them the second text begins."""
        coder = self.coder
        first = coder.tokenizer(texts.first, add_special_tokens=False)["input_ids"]
        if not texts.second:
            return [
                ([coder.cls, *ids[: coder.max_length - 2], coder.sep], coder.max_length)
                for ids in first
            ]
        room = coder.max_length - 2 - len(coder.between)
        found = []
        for a, b in zip(
            first, coder.tokenizer(texts.second, add_special_tokens=False)["input_ids"], strict=True
        ):
            a, b = a[: max(room // 2, room - len(b))], b[: max(room - room // 2, room - len(a))]
            begin = [coder.cls, *a, *coder.between]
            found.append(([*begin, *b, coder.sep], len(begin)))
        return found

    def inputs(self, rows: Sequence[tuple[list[int], int]]) -> Batch:
        """What the network reads, and ``second``: which pieces are the second text's.

        *Shape:* each ``[rows, longest]``.
        """
        inputs = self.coder.inputs([ids for ids, _ in rows])
        second = (
            torch.arange(inputs["input_ids"].shape[1])
            >= torch.tensor([start for _, start in rows])[:, None]
        )
        inputs["second"] = second & inputs["attention_mask"].bool()
        return inputs | (
            {"token_type_ids": inputs["second"].long()} if self.coder.has_types else {}
        )


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
            self.head = nn.Linear(
                (4 if self.pairs else 1) * self.classifier.config.hidden_size, self.outputs
            )

    def forward(self, second: Tensor, **inputs: Tensor) -> Tensor:
        """*Shape:* each ``[texts, length]`` -> ``[texts, labels]``."""
        if self.head is None:
            return self.classifier(**inputs).logits
        states = self.classifier(**inputs).last_hidden_state
        u = mean_state(states, inputs["attention_mask"].bool() & ~second)
        if not self.pairs:
            return self.head(u)
        v = mean_state(states, second)
        return self.head(torch.cat([u, v, (u - v).abs(), u * v], dim=-1))


def mean_state(states: Tensor, mask: Tensor) -> Tensor:
    """*Shape:* states ``[texts, length, width]``, mask ``[texts, length]`` (at least one piece
    each) -> ``[texts, width]``.
    """
    return (states * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)


def tune(
    network: zoo.Network, task: Task, plan: TuningPlan, metric: Metric
) -> tuple[TaskModel, History]:
    """Fine-tune an encoder on a task; the weights kept are those with the best ``metric`` on the
    held-out part.
    """
    seed_everything(plan.seed)
    coder = TaskCoder(Coder(zoo.tokenizer(network), plan.max_length))
    model = TaskModel(network, task, plan.pooling)
    freeze(model.classifier, plan.tuned_layers, pooler=plan.pooling == "cls")
    rows, checks = coder.rows(task.train), coder.rows(task.held_out)
    centre, spread = scale(task)
    gold = torch.tensor((task.train.gold - centre) / spread if not task.labels else task.train.gold)
    order = batches_by_length([len(ids) for ids, _ in rows], plan.batch, plan.seed)

    def batch(step: int) -> Batch:
        chosen = order(step)
        return coder.inputs([rows[i] for i in chosen]) | {"gold": gold[chosen]}

    per_epoch = -(-len(rows) // plan.batch)
    regime = Regime(
        plan.epochs * per_epoch,
        plan.lr,
        evaluate_every=max(1, per_epoch // plan.looks),
        seed=plan.seed,
    )
    history = fit(
        model,
        batch,
        task_loss,
        lambda m: held_out_score(logits(m, coder, checks), task, metric),
        regime,
        quiet=True,
    )
    return model, history


def scale(task: Task) -> tuple[float, float]:
    """Mean and standard deviation of the numbers to be told: the network tells them in these units."""
    return (
        (0.0, 1.0)
        if task.labels
        else (float(task.train.gold.mean()), float(task.train.gold.std()) or 1.0)
    )


def task_loss(model: TaskModel, batch: Batch) -> Tensor:
    """Cross-entropy; of numbers the mean squared error."""
    gold = batch["gold"]
    return _loss(
        model(**{name: tensor for name, tensor in batch.items() if name != "gold"}).float(), gold
    )


def _loss(logits: Tensor, gold: Tensor) -> Tensor:
    return (
        F.mse_loss(logits[:, 0], gold.float())
        if gold.is_floating_point()
        else F.cross_entropy(logits, gold)
    )


@torch.inference_mode()
def logits(
    model: TaskModel, coder: TaskCoder, rows: Sequence[tuple[list[int], int]], batch: int = 32
) -> Tensor:
    """*Shape:* ``[texts, labels]`` (numbers: ``[texts, 1]``), float32, on the CPU."""
    device = next(model.parameters()).device
    found = torch.empty(len(rows), model.outputs)
    for chosen in in_batches([len(ids) for ids, _ in rows], batch):
        with autocast(device, "auto"):
            out = model(
                **{
                    name: tensor.to(device)
                    for name, tensor in coder.inputs([rows[i] for i in chosen]).items()
                }
            )
        found[chosen] = out.float().cpu()
    return found


def said(logits: Tensor, task: Task) -> np.ndarray:
    """What the logits say: classes, or numbers. *Shape:* ``[texts]``."""
    centre, spread = scale(task)
    return (
        logits.argmax(dim=-1).numpy()
        if task.labels
        else logits[:, 0].double().numpy() * spread + centre
    )


def held_out_score(logits: Tensor, task: Task, metric: Metric) -> float:
    """What is chosen by, lower is better: one minus the task's metric; between equal ones, the
    loss.
    """
    gold, (centre, spread) = task.held_out.gold, scale(task)
    target = torch.tensor(gold if task.labels else (gold - centre) / spread)
    return 1 - float(metric(gold, said(logits, task))) + float(_loss(logits, target)) / 1000


def answer(model: TaskModel, network: zoo.Network, task: Task, plan: TuningPlan) -> np.ndarray:
    """What a fine-tuned model says of the test part. *Shape:* ``[texts]``."""
    coder = TaskCoder(Coder(zoo.tokenizer(network), plan.max_length))
    return said(logits(model, coder, coder.rows(task.test)), task)
