"""Students: convolutional networks of about a million parameters over the teacher's word pieces.

Three architectures have one interface: piece ids ``[batch, length]`` (0 is padding) to logits
``[batch, classes]``. What a student answers does not depend on the padding beside a text, because
every hidden row at a padded position is set to zero.

========  ====================================================================  ====================
BlendCNN  a stack of convolutions; *every* layer is max-pooled, all are joined  1909.03508
KimCNN    convolutions of widths 3, 4 and 5 side by side, max-pooled, joined    Kim 2014; 2002.00733
ResCNN    residual blocks of two convolutions, max-pooled ("Res-style")         2002.00733
========  ====================================================================  ====================

The channel widths in arXiv 2002.00733 are not known to us; here they follow from a parameter budget
(:func:`build`).
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gdlib.core.errors import BadSetting
from gdlib.core.settings import digest
from gdlib.learn.packing import round_number
from gdlib.networks.names import STUDENTS

if TYPE_CHECKING:  # it takes as long to import as torch
    from transformers import PreTrainedTokenizerBase

PAD, UNKNOWN = 0, 1


@dataclass(frozen=True)
class Vocabulary:
    """The teacher's word pieces that a student knows: row of the student's embedding to id in the
    teacher's.

    Rows 0 and 1 are padding and the unknown piece; the pieces follow, the most frequent first.
    """

    teacher_ids: tuple[int, ...]

    @classmethod
    def seen(
        cls, encoded: Iterable[Sequence[int]], pad: int, unknown: int, at_most: int
    ) -> "Vocabulary":
        """The most frequent pieces of some texts (teacher's ids, no special tokens), at most
        ``at_most`` with the two special ones.
        """
        counts = Counter(piece for row in encoded for piece in row if piece not in (pad, unknown))
        frequent = sorted(counts, key=lambda piece: (-counts[piece], piece))
        return cls((pad, unknown, *frequent[: max(0, at_most - 2)]))

    def __len__(self) -> int:
        return len(self.teacher_ids)

    @property
    def digest(self) -> str:
        return digest(self.teacher_ids)

    def rows(self, encoded: Iterable[Sequence[int]]) -> list[list[int]]:
        """Teacher's ids to rows of the student's embedding; an unknown piece has row 1."""
        row_of = self._row_of
        return [[row_of.get(piece, UNKNOWN) for piece in row] or [UNKNOWN] for row in encoded]

    @cached_property
    def _row_of(self) -> dict[int, int]:
        return {piece: row for row, piece in enumerate(self.teacher_ids)}


def encode(
    tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[str],
    max_length: int,
    special: bool = False,
) -> list[list[int]]:
    """Texts to the teacher's piece ids, cut at ``max_length``: without special tokens, as students
    read them, or with them, as the teacher does.
    """
    if not texts:
        return []  # which tokenizers refuse
    how = {"truncation": True, "max_length": max_length, "return_token_type_ids": False}
    return tokenizer(list(texts), add_special_tokens=special, **how)["input_ids"]


class Student(nn.Module):
    """What the three architectures share: embedding, dropout, the readout from pooled features.

    A subclass sets :attr:`pools` and defines :meth:`add_layers` and :meth:`features`.

    Args:
        vocabulary: rows of the embedding, each ``embedding_dim`` (E) wide.
        classes: logits.
        channels: of every convolution.
        dropout: before the readout.
    """

    pools = 1
    """How many pooled layers, ``channels`` wide each, are read out."""
    hidden_readout = False
    """Whether a further layer, ``channels`` wide, stands before the readout."""

    def __init__(
        self, vocabulary: int, classes: int, channels: int, embedding_dim: int, dropout: float
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding_dim, padding_idx=PAD)
        width, hidden = self.pools * channels, []
        if self.hidden_readout:
            hidden = [nn.Linear(width, channels), nn.ReLU(), nn.Dropout(dropout)]
            width = channels
        self.readout = nn.Sequential(nn.Dropout(dropout), *hidden, nn.Linear(width, classes))
        self.add_layers(embedding_dim, channels)

    def add_layers(self, embedding_dim: int, channels: int) -> None:
        """Make the convolutions."""
        raise NotImplementedError

    def features(self, hidden: Tensor, real: Tensor) -> Tensor:
        """*Shape:* ``[batch, length, E]``, ``[batch, length]`` -> ``[batch, pools * channels]``."""
        raise NotImplementedError

    def forward(self, pieces: Tensor) -> Tensor:
        """*Shape:* pieces ``[batch, length]`` -> logits ``[batch, classes]``."""
        return self.readout(self.features(self.embedding(pieces), pieces != PAD))


def pool(hidden: Tensor) -> Tensor:
    """Maximum over time, in which padded positions, which are no larger than all others, never win:
    as the pooling of an image one row high, which takes a processor a tenth of the time of ``max``.

    *Shape:* ``[batch, length, channels]`` -> ``[batch, channels]``.
    """
    if torch.compiler.is_exporting():
        return hidden.amax(dim=1)
    return F.adaptive_max_pool2d(hidden.transpose(1, 2).unsqueeze(2), 1).flatten(1)


def convolve(layer: nn.Conv1d, hidden: Tensor, real: Tensor, fill: float = 0.0) -> Tensor:
    """A convolution whose output is as long as its input, and ``fill`` at padded positions.

    One product with a matrix, of the real positions (exported: of all), each with its neighbours
    beside it: torch's own convolution takes a processor twice the time.

    *Shape:* hidden ``[batch, length, channels]``, real ``[batch, length]`` (bool) -> ``[batch,
    length, channels of the layer]``.
    """
    (batch, length), (width,) = real.shape, layer.kernel_size
    padded = F.pad(hidden, (0, 0, (width - 1) // 2, width // 2))
    patches = torch.cat([padded[:, i : i + length] for i in range(width)], dim=-1)
    kernel = layer.weight.transpose(1, 2).flatten(1)
    if torch.compiler.is_exporting():
        return F.linear(patches, kernel, layer.bias).masked_fill(~real[..., None], fill)
    places = real.flatten().nonzero().squeeze(1)
    taken = F.pad(places, (0, round_number(len(places)) - len(places)))  # a position repeated
    rows = F.linear(patches.flatten(0, 1).index_select(0, taken), kernel, layer.bias)
    whole = rows.new_full((batch * length, layer.out_channels), fill)
    return whole.index_copy_(0, places, rows[: len(places)]).unflatten(0, (batch, length))


class KimCNN(Student):
    """Convolutions of widths 3, 4 and 5 side by side, each max-pooled over time (Kim 2014)."""

    widths = (3, 4, 5)
    pools = len(widths)

    def add_layers(self, embedding_dim: int, channels: int) -> None:
        self.convolutions = nn.ModuleList(
            nn.Conv1d(embedding_dim, channels, width) for width in self.widths
        )

    def features(self, hidden: Tensor, real: Tensor) -> Tensor:
        pools = [pool(convolve(layer, hidden, real, -torch.inf)) for layer in self.convolutions]
        # The ReLU after the maximum: the same numbers, of a text's length fewer of them.
        return torch.cat(pools, dim=-1).relu()


class BlendCNN(Student):
    """A stack of same-padded convolutions; all layers' pools are joined (Chia et al. 2019)."""

    depth, width = 3, 5
    pools, hidden_readout = depth, True

    def add_layers(self, embedding_dim: int, channels: int) -> None:
        sizes = [embedding_dim] + [channels] * self.depth
        self.convolutions = nn.ModuleList(nn.Conv1d(*each, self.width) for each in pairwise(sizes))

    def features(self, hidden: Tensor, real: Tensor) -> Tensor:
        pools = []
        for layer in self.convolutions:
            hidden = convolve(layer, hidden, real).relu()
            pools.append(pool(hidden))
        return torch.cat(pools, dim=-1)


class ResCNN(Student):
    """A projection, then residual blocks of two convolutions of width 3, max-pooled."""

    blocks, width = 2, 3

    def add_layers(self, embedding_dim: int, channels: int) -> None:
        self.project = nn.Conv1d(embedding_dim, channels, self.width)
        self.pairs = nn.ModuleList(
            nn.ModuleList(nn.Conv1d(channels, channels, self.width) for _ in range(2))
            for _ in range(self.blocks)
        )

    def features(self, hidden: Tensor, real: Tensor) -> Tensor:
        hidden = convolve(self.project, hidden, real).relu()
        for first, second in self.pairs:
            inner = convolve(first, hidden, real).relu()
            hidden = (hidden + convolve(second, inner, real)).relu()
        return pool(hidden)


def build(
    name: str, vocabulary: int, classes: int, budget: int, embedding_dim: int, dropout: float
) -> Student:
    """A student of an architecture with the widest convolutions that keep it within a parameter
    budget.

    Raises:
        UnknownName: no such architecture.
        BadSetting: the embedding alone is over the budget.
    """
    family = STUDENTS[name]

    def size(channels: int) -> int:
        with torch.device("meta"):
            return parameters(family(vocabulary, classes, channels, embedding_dim, dropout))

    channels = bisect_right(range(1, 4097), budget, key=size)
    if not channels:
        least = f"{size(1):,} parameters at the least with {vocabulary:,} pieces x {embedding_dim}"
        raise BadSetting(f"{name}: {least}; budget {budget:,}")
    # Widths that are multiples of 8 run faster than odd ones and cost the budget under a percent.
    channels -= channels % 8 if channels >= 64 else 0
    return family(vocabulary, classes, channels, embedding_dim, dropout)


def parameters(network: nn.Module) -> int:
    """The number of parameters, tied ones counted once."""
    return sum(parameter.numel() for parameter in network.parameters())
