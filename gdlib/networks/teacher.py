"""The teacher: a pretrained encoder fine-tuned on the few labelled texts, and its signals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gdlib.core.errors import BadSetting
from gdlib.core.store import texts_digest
from gdlib.learn.batches import Batch, ask, collate, pad, passes
from gdlib.learn.calibration import cool, fit_temperature
from gdlib.learn.loop import History
from gdlib.networks import fine_tune as recipe
from gdlib.networks.fine_tune import Plan
from gdlib.networks.names import POOLINGS
from gdlib.networks.signals import Signals
from gdlib.networks.students import encode
from gdlib.sources import zoo
from gdlib.sources.corpora import Part

if TYPE_CHECKING:  # it takes as long to import as torch
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True)
class TeacherPlan(Plan):
    """How a teacher is fine-tuned.

    Args:
        max_length: word pieces per text, special ones included; cut beyond.
    """

    max_length: int


class Teacher:
    """A fine-tuned encoder with a classification head.

    Args:
        network: a transformers sequence classifier; its ``config.id2label`` holds the class names
            in order.
        tokenizer: the encoder's.
        max_length: word pieces per text.
    """

    family = "AutoModelForSequenceClassification"

    def __init__(self, network: nn.Module, tokenizer: "PreTrainedTokenizerBase", max_length: int):
        self.network, self.tokenizer, self.max_length = network.eval(), tokenizer, max_length
        self.labels = tuple(network.config.id2label[i] for i in range(network.config.num_labels))

    @classmethod
    def load(cls, folder: Path) -> "Teacher":
        """The teacher that :func:`fine_tune` left in a folder."""
        network, tokenizer, plan = recipe.load(cls.family, folder)
        return cls(network, tokenizer, plan["max_length"])

    @property
    def embedding(self) -> Tensor:
        """The fine-tuned word-piece embeddings. *Shape:* ``[pieces, width]``."""
        return self.network.get_input_embeddings().weight.detach().cpu()

    def signals(
        self,
        texts: Sequence[str],
        layers: Sequence[int] = (),
        pooling: str = "cls",
        **options: Any,
    ) -> Signals:
        """Logits, a state of each of the given hidden layers, and the mean state of the last one,
        for every text, in the order given.

        Args:
            texts: to label.
            layers: hidden layers; 0 is the embeddings.
            pooling: which state, of :data:`gdlib.networks.names.POOLINGS`.
            options: of :func:`gdlib.learn.batches.ask`.

        Raises:
            BadSetting: a layer that the network does not have.
            UnknownName: no such pooling.
        """
        self.check(layers)
        rows = tokenize(self.tokenizer, texts, self.max_length)
        options = {"title": "labelling"} | options
        logits, *states, means = self.pooled(rows, layers, pooling, **options)
        return Signals(self.labels, logits, texts_digest(texts), dict(zip(layers, states)), means)

    def check(self, layers: Sequence[int]) -> None:
        """Raise :class:`BadSetting` if the network lacks one of the layers."""
        last = self.network.config.num_hidden_layers
        if any(not 0 <= layer <= last for layer in layers):
            known = f"the layers 0 (its embeddings) to {last}"
            raise BadSetting(f"teacher_layers = {tuple(layers)}: the teacher has {known}")

    def piece_states(self, ids: Sequence[int]) -> Tensor:
        """The mean last state of each piece alone. *Shape:* ``[len(ids), width]``, float32."""
        special = self.tokenizer("")["input_ids"]  # those before a text, and those after it
        middle = len(special) // 2
        rows = [[*special[:middle], piece, *special[middle:]] for piece in ids]
        return self.pooled(rows, batch=256, title="word pieces")[-1]

    def pooled(
        self,
        rows: Sequence[Sequence[int]],
        layers: Sequence[int] = (),
        pooling: str = "cls",
        **options: Any,
    ) -> list[Tensor]:
        """Logits, states of some layers and the mean state of the last one (:meth:`answers`)."""
        mean = POOLINGS["mean"]
        pools = [POOLINGS[pooling]] * len(layers) + [mean]

        def read(logits: Tensor, states: list[Tensor], inputs: Batch) -> list[Tensor]:
            mask = inputs["attention_mask"]  # a tagger has logits of every piece
            own = logits if logits.ndim == 2 else mean(logits, mask)
            return [own, *(pool(state, mask) for pool, state in zip(pools, states))]

        layers = [*layers, self.network.config.num_hidden_layers]
        return self.answers(rows, layers, self.collate, read, **options)

    def collate(self, rows: Sequence[Sequence[int]]) -> Batch:
        """Ids with special tokens as inputs of the network."""
        return collate(rows, self.tokenizer.pad_token_id)

    def answers(
        self,
        rows: Sequence[Any],
        layers: Sequence[int],
        collate: Callable[[Any], Batch],
        read: Callable[[Tensor, list[Tensor], Batch], list[Tensor]],
        **options: Any,
    ) -> list[Tensor]:
        """Ask about rows (:func:`gdlib.learn.batches.ask`, which takes the ``options``).

        Weights stay in float32, products run in bf16 where the hardware has it.

        Args:
            rows: what is read of some texts.
            layers: whose states are wanted.
            collate: some rows as a batch.
            read: from the logits and states of a batch, float32, to those that are kept, and their
                batch, one row per answer.
        """

        def call(input_ids: Tensor, attention_mask: Tensor, **others: Tensor) -> Tensor:
            inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
            out = self.network(**inputs, output_hidden_states=bool(layers))
            states = [out.hidden_states[layer].float() for layer in layers]
            return torch.cat(read(out.logits.float(), states, inputs | others), dim=-1)

        widths = [len(self.labels), *[self.network.config.hidden_size] * len(layers)]
        whole = ask(self.network, rows, collate, call, width=sum(widths), **options)
        return [part.contiguous() for part in whole.split(widths, dim=-1)]


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

    The weights kept are those with the lowest held-out cross-entropy once calibrated
    (:func:`learn`); held-out texts come from the labelled budget.
    """
    torch.manual_seed(plan.seed)  # of the new head
    tokenizer, classifier = zoo.tokenizer(network), zoo.classifier(network, labels)

    def items(part: Part) -> Items:
        encoded = tokenize(tokenizer, part.texts, plan.max_length)
        return [(ids, [label]) for ids, label in zip(encoded, part.labels)]

    return learn(classifier, tokenizer, items(train), items(held_out), plan, folder, patience=0)


Items = list[tuple[list[int], list[int]]]
"""Ids with special tokens, and their gold labels: one per text, or one per piece (-1: none)."""


def learn(
    classifier: nn.Module,
    tokenizer: "PreTrainedTokenizerBase",
    train: Items,
    held_out: Items,
    plan: TeacherPlan,
    folder: Path,
    patience: int,
) -> History:
    """Train a network with a head, on texts or on their pieces, and leave it in ``folder`` (see
    :func:`fine_tune`).

    Cross-entropy alone would choose a network that has hardly learnt, because it rises with
    overconfidence long before errors do, and with few texts from the first passes on. So networks
    are chosen by their cross-entropy at the temperature that suits them best
    (:func:`gdlib.learn.calibration.fit_temperature`), and that temperature is divided into the
    head, so that what students learn from is as sure as it is right.
    """

    def inputs(items: Items) -> Batch:
        batch = collate([ids for ids, _ in items], tokenizer.pad_token_id)
        return batch | {"labels": pad([gold for _, gold in items], -1)}

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        gold = batch.pop("labels").flatten()
        logits = model(**batch).logits.float().flatten(0, -2)
        return F.cross_entropy(logits, gold, ignore_index=-1)

    def held_out_logits(model: nn.Module) -> tuple[Tensor, Tensor]:
        parts = []
        for _, batch in passes(model, held_out, inputs):
            gold = batch.pop("labels").flatten()
            logits = model(**batch).logits.float().flatten(0, -2)
            parts.append((logits[gold >= 0].cpu(), gold[gold >= 0].cpu()))
        logits, gold = (torch.cat(each) for each in zip(*parts))
        return logits, gold

    def calibrated_loss(model: nn.Module) -> float:
        logits, gold = held_out_logits(model)
        return F.cross_entropy(logits / fit_temperature(logits, gold), gold).item()

    how = {"patience": patience, "folder": folder, "title": "teacher"}
    history = recipe.train(classifier, train, inputs, loss, calibrated_loss, plan, **how)
    with torch.inference_mode():
        temperature = fit_temperature(*held_out_logits(classifier))
    cool(classifier, temperature)
    recipe.save(classifier, tokenizer, plan, history, folder, temperature=temperature)
    return history


def tokenize(
    tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str], max_length: int
) -> list[list[int]]:
    """Texts to piece ids with the encoder's special tokens."""
    return encode(tokenizer, texts, max_length, special=True)
