"""The teacher: a pretrained encoder fine-tuned on the few labelled texts, and the signals it gives."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase

from gdlib.core.errors import BadSetting, unknown
from gdlib.core.store import texts_digest
from gdlib.learn.batches import autocast, batches_by_length, collate, in_batches, pad
from gdlib.learn.loop import History, Regime, fit, writes_files
from gdlib.networks.signals import POOLINGS, Signals
from gdlib.sources import zoo
from gdlib.sources.corpora import Part
from gdlib.sources.formats import quiet


@dataclass(frozen=True)
class TeacherPlan:
    """How a teacher is fine-tuned.

    Args:
        epochs: passes over the labelled texts at most.
        lr: peak learning rate.
        batch: texts a step.
        max_length: word pieces a text, special ones included; cut beyond.
        seed: of the head, the order of texts and dropout.
        looks: looks at the held-out loss an epoch.
    """

    epochs: int
    lr: float
    batch: int
    max_length: int
    seed: int
    looks: int = 2


class Teacher:
    """A fine-tuned encoder with a classification head.

    Args:
        network: a transformers sequence classifier; its ``config.id2label`` holds the class names
            in order.
        tokenizer: the encoder's.
        max_length: word pieces a text.
    """

    family: type = AutoModelForSequenceClassification

    def __init__(self, network: nn.Module, tokenizer: PreTrainedTokenizerBase, max_length: int):
        self.network, self.tokenizer, self.max_length = network.eval(), tokenizer, max_length
        self.labels = tuple(network.config.id2label[i] for i in range(network.config.num_labels))

    @classmethod
    def load(cls, folder: Path) -> "Teacher":
        """The teacher that :func:`fine_tune` left in a folder."""
        with quiet():
            network = cls.family.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
        plan = json.loads((folder / "plan.json").read_text("utf-8"))
        if torch.cuda.is_available():
            network = network.cuda()
        return cls(
            network,
            AutoTokenizer.from_pretrained(folder, local_files_only=True),
            plan["max_length"],
        )

    @property
    def embedding(self) -> torch.Tensor:
        """The fine-tuned word-piece embeddings. *Shape:* ``[pieces, width]``."""
        return self.network.get_input_embeddings().weight.detach().cpu()

    def check_layers(self, layers: Sequence[int]) -> None:
        """Raise :class:`BadSetting` for a layer that the network does not have."""
        depth = self.network.config.num_hidden_layers
        if any(not 0 <= layer <= depth for layer in layers):
            raise BadSetting(
                f"teacher_layers = {tuple(layers)}: the teacher has the layers 0 (its "
                f"embeddings) to {depth}"
            )

    @torch.inference_mode()
    def signals(
        self,
        texts: Sequence[str],
        layers: Sequence[int] = (),
        batch: int = 64,
        title: str = "labelling",
        pooling: str = "cls",
    ) -> Signals:
        """Logits, and a state of each of the asked hidden layers, for every text, in the order
        given.

        Every text passes once; texts of like length share a batch. Weights stay in float32,
        products run in bf16 where the hardware has it.

        Args:
            texts: to label.
            layers: hidden layers; 0 is the embeddings.
            batch: texts a pass.
            title: what the progress bar says.
            pooling: ``cls``: the state at the first position; ``mean``: over all positions of the
                text.

        Raises:
            BadSetting: a layer that the network does not have.
            UnknownName: no such pooling.
        """
        self.check_layers(layers)
        if pooling not in POOLINGS:
            raise unknown("teacher_pooling", pooling, POOLINGS)
        encoded = tokenize(self.tokenizer, texts, self.max_length)
        device = next(self.network.parameters()).device
        logits = torch.empty(len(texts), len(self.labels))
        states = {
            layer: torch.empty(len(texts), self.network.config.hidden_size) for layer in layers
        }
        with tqdm(total=len(texts), desc=title, unit="text", mininterval=2.0) as bar:
            for rows in in_batches([len(row) for row in encoded], batch):
                inputs = collate([encoded[i] for i in rows], self.tokenizer.pad_token_id)
                with autocast(device, "auto"):
                    out = self.network(
                        **{k: v.to(device) for k, v in inputs.items()},
                        output_hidden_states=bool(layers),
                    )
                logits[rows] = out.logits.float().cpu()
                for layer, kept in states.items():
                    kept[rows] = pooled(
                        out.hidden_states[layer].float().cpu(), inputs["attention_mask"], pooling
                    )
                bar.update(len(rows))
        return Signals(self.labels, logits, texts_digest(texts), states, pooling)


def pooled(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """One state a text.

    *Shape:* hidden ``[batch, length, width]``, mask ``[batch, length]`` -> ``[batch, width]``.
    """
    if pooling == "cls":
        return hidden[:, 0]
    share = mask / mask.sum(dim=1, keepdim=True)
    return (hidden * share.unsqueeze(-1)).sum(dim=1)


def fine_tune(
    network: zoo.Network,
    train: Part,
    held_out: Part,
    labels: Sequence[str],
    plan: TeacherPlan,
    folder: Path,
) -> History:
    """Fine-tune an encoder on labelled texts and leave it in ``folder``, with its history
    (``history.json``).

    The weights kept are those with the lowest held-out cross-entropy; held-out texts come from the
    labelled budget.
    """
    torch.manual_seed(plan.seed)  # of the new head
    tokenizer = zoo.tokenizer(network)
    classifier = zoo.classifier(network, labels)
    parts = (
        list(
            zip(
                tokenize(tokenizer, part.texts, plan.max_length), ([label] for label in part.labels)
            )
        )
        for part in (train, held_out)
    )
    return learn(classifier, tokenizer, *parts, plan, folder)


Items = Sequence[tuple[Sequence[int], Sequence[int]]]
"""Ids with special tokens, and their gold labels: one a text, or one a piece; -1 where there is
none.
"""


def learn(
    classifier: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    train: Items,
    held_out: Items,
    plan: TeacherPlan,
    folder: Path,
) -> History:
    """Train a network with a head, on texts or on their pieces, and leave it in ``folder`` (see
    :func:`fine_tune`).
    """

    def batch_of(items: Items, rows: Sequence[int]) -> dict[str, torch.Tensor]:
        inputs = collate([items[i][0] for i in rows], tokenizer.pad_token_id)
        return inputs | {"labels": pad([items[i][1] for i in rows], -1)}

    def loss(
        model: nn.Module, batch: dict[str, torch.Tensor], reduction: str = "mean"
    ) -> torch.Tensor:
        gold = batch.pop("labels").flatten()
        logits = model(**batch).logits.float().flatten(0, -2)
        return F.cross_entropy(logits, gold, ignore_index=-1, reduction=reduction)

    def held_out_loss(model: nn.Module) -> float:
        device = next(model.parameters()).device
        batches = (
            batch_of(held_out, rows) for rows in in_batches([len(ids) for ids, _ in held_out], 64)
        )
        total = sum(
            loss(model, {k: v.to(device) for k, v in batch.items()}, "sum").item()
            for batch in batches
        )
        return total / sum(label >= 0 for _, gold in held_out for label in gold)

    order = batches_by_length([len(ids) for ids, _ in train], plan.batch, plan.seed)
    per_epoch = -(-len(train) // plan.batch)
    regime = Regime(
        steps=plan.epochs * per_epoch,
        lr=plan.lr,
        evaluate_every=max(1, per_epoch // plan.looks),
        patience=4 * plan.looks,
        seed=plan.seed,
    )
    history = fit(
        classifier,
        lambda step: batch_of(train, order(step)),
        loss,
        held_out_loss,
        regime,
        resume=folder / "checkpoint",
        title="teacher",
    )
    if not writes_files():
        return history
    with quiet():
        classifier.cpu().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "plan.json").write_text(json.dumps(asdict(plan)))
    (folder / "history.json").write_text(json.dumps(asdict(history)))
    return history


def tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int
) -> list[list[int]]:
    """Texts to piece ids with the encoder's special tokens."""
    return tokenizer(
        list(texts), truncation=True, max_length=max_length, return_token_type_ids=False
    )["input_ids"]
