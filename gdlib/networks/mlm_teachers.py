"""Teachers of masked language modelling: encoders under heads, and what they predict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from gdlib.learn.batches import Batch, ask
from gdlib.learn.predictions import TopPieces, top_pieces
from gdlib.networks.encoders import keep_layers, to_device
from gdlib.networks.masked_lm import TiedHead
from gdlib.networks.mlm_texts import NOWHERE, Guessed, MaskedTexts
from gdlib.sources import zoo


class MaskedLM(nn.Module):
    """An encoder under a head tied to its embeddings; logits of the guessed pieces, at the masked
    positions alone, in reading order.

    Args:
        encoder: without a head.
        guessed: its own ids of the guessed pieces. *Shape:* ``[guessed]``.
        log_shares: where the head's bias starts, with the rest of it small. *Shape:* ``[guessed]``.
    """

    def __init__(self, encoder: PreTrainedModel, guessed: Tensor, log_shares: Tensor):
        super().__init__()
        self.encoder = encoder
        self.head = TiedHead(
            encoder.config.hidden_size, encoder.get_input_embeddings().weight.shape[1], len(guessed)
        )
        self.register_buffer("guessed", guessed, persistent=False)
        self.head.start(log_shares)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> Tensor:
        """*Shape:* all ``[batch, length]`` -> ``[masked positions, guessed]``."""
        return self.logits(self.states(input_ids, attention_mask, positions))

    def states(self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> Tensor:
        """The encoder's last states at the masked positions: ``[masked positions, width]``."""
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[
            positions != NOWHERE
        ]

    def logits(self, states: Tensor) -> Tensor:
        """*Shape:* ``[..., width]`` -> ``[..., guessed]``."""
        return self.head(states, self.embedding)

    @property
    def embedding(self) -> Tensor:
        """Of the guessed pieces. *Shape:* ``[guessed, embedding]``."""
        return self.encoder.get_input_embeddings().weight[self.guessed]


class WholeMaskedLM(nn.Module):
    """A network that brings its own head (such as ``BertForMaskedLM``), called in the same way."""

    def __init__(self, network: PreTrainedModel, guessed: Tensor):
        super().__init__()
        self.encoder = network
        self.register_buffer("guessed", guessed, persistent=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> Tensor:
        """*Shape:* all ``[batch, length]`` -> ``[masked positions, guessed]``."""
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).logits[
            positions != NOWHERE
        ][:, self.guessed]


@dataclass(frozen=True)
class MaskedTeacher:
    """A teacher of masked language modelling.

    Args:
        name: as it stands in tables.
        model: :class:`MaskedLM` or :class:`WholeMaskedLM`.
        ids: its own id of every reference id. *Shape:* ``[reference pieces]``.
        pad_id: the reference's padding.
    """

    name: str
    model: nn.Module
    ids: Tensor
    pad_id: int

    def inputs(self, texts: MaskedTexts, rows: Sequence[int]) -> Batch:
        """A batch in its own ids."""
        batch = texts.batch(rows, self.pad_id)
        return batch | {"input_ids": self.ids[batch["input_ids"]]}

    def states(self, texts: MaskedTexts) -> Tensor:
        """The encoder's states at all masked positions, by number.

        *Shape:* ``[positions, width]``, float32, on the CPU.
        """
        return self._ask(texts, self.model.states)

    def keep(self, texts: MaskedTexts, kept: int) -> TopPieces:
        """What it predicts at all masked positions: its ``kept`` likeliest guessed pieces."""

        def call(**batch: Tensor) -> Batch:
            return top_pieces(self.model(**batch), texts.gold_at(batch["positions"]), kept)

        tensors = self._ask(texts, call)
        return TopPieces(**tensors, vocabulary=len(self.model.guessed), digest=texts.digest)

    def _ask(self, texts: MaskedTexts, call: Callable[..., Tensor | Batch]) -> Tensor | Batch:
        return ask(
            self.model,
            range(len(texts)),
            lambda rows: self.inputs(texts, rows),
            call,
            length=texts.lengths.__getitem__,
            counts=texts.counts,
            batch=32,
        )


def load_teacher(
    network: zoo.Network,
    ids: Tensor,
    pad_id: int,
    guessed: Guessed,
    trained: Path | None = None,
    layers: int = 0,
) -> MaskedTeacher:
    """A teacher: whole, with its own head where the network has one; else with a new head, or with
    what :func:`gdlib.networks.mlm_heads.train_head` left.

    Args:
        layers: keep its lowest so many alone, under a new head; 0: all.
    """
    own = ids[guessed.ids]
    if not layers and zoo.has_masked_head(network):
        model: nn.Module = WholeMaskedLM(zoo.masked(network), own)
    else:
        encoder = zoo.encoder(network)
        if layers:
            keep_layers(encoder, range(min(layers, encoder.config.num_hidden_layers)))
        model = MaskedLM(encoder, own, guessed.log_shares)
        if trained:
            model.load_state_dict(load_file(trained / "trained.safetensors"), strict=False)
    return MaskedTeacher(network.name, to_device(model), ids, pad_id)


def train_layers(encoder: PreTrainedModel) -> None:
    """Let all of an encoder learn but its embedding matrix (the head is tied to it, and texts are
    few) and an unused pooler.
    """
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(not name.startswith("pooler"))
    encoder.get_input_embeddings().weight.requires_grad_(False)
