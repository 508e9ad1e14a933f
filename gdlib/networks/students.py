"""Students: convolutional networks of about a million parameters over the teacher's word pieces.

Three architectures, one interface: piece ids ``[batch, length]`` (0 is padding) to logits ``[batch, classes]``. What a
student says of a text does not depend on the padding beside it: every hidden row at a padded position is set to zero.

=========  ==================================================================================  ======================
BlendCNN   a stack of convolutions; *every* layer is max-pooled, the pools are joined, an MLP  arXiv 1909.03508
KimCNN     convolutions of widths 3, 4, 5 side by side, max-pooled, joined                     Kim 2014; 2002.00733
ResCNN     residual blocks of two convolutions, max-pooled                                     "Res-style", 2002.00733
=========  ==================================================================================  ======================

The channel widths in 2002.00733 are not known to us; here they follow from a parameter budget (:func:`build`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from gdlib.core.errors import BadSetting
from gdlib.core.settings import digest
from gdlib.networks.names import STUDENTS

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
        """The pieces seen in some texts (teacher's ids, no special tokens), the most frequent
        ``at_most``.
        """
        counts = Counter(piece for row in encoded for piece in row if piece not in (pad, unknown))
        kept = sorted(counts, key=lambda piece: (-counts[piece], piece))[: max(0, at_most - 2)]
        return cls((pad, unknown, *kept))

    def __len__(self) -> int:
        return len(self.teacher_ids)

    @property
    def digest(self) -> str:
        return digest(self.teacher_ids)

    def rows(self, encoded: Iterable[Sequence[int]]) -> list[list[int]]:
        """Teacher's ids to rows of the student's embedding; a piece it does not know becomes the
        unknown one.
        """
        row_of = {piece: row for row, piece in enumerate(self.teacher_ids)}
        return [[row_of.get(piece, UNKNOWN) for piece in row] or [UNKNOWN] for row in encoded]


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int
) -> list[list[int]]:
    """Texts to the teacher's piece ids without special tokens, cut at ``max_length``."""
    return tokenizer(list(texts), add_special_tokens=False, truncation=True, max_length=max_length)[
        "input_ids"
    ]


class Student(nn.Module):
    """What the three architectures share: embedding, dropout, the readout from pooled features.

    Args:
        vocabulary: rows of the embedding.
        classes: logits.
        embedding_dim: E.
        dropout: before the readout.
        features: width of what is read out.
        hidden: width of a further layer before the readout; 0: none.
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        embedding_dim: int,
        dropout: float,
        features: int,
        hidden: int = 0,
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding_dim, padding_idx=PAD)
        layers = [nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(dropout)] if hidden else []
        self.readout = nn.Sequential(
            nn.Dropout(dropout), *layers, nn.Linear(hidden or features, classes)
        )

    def forward(self, pieces: Tensor) -> Tensor:
        """*Shape:* pieces ``[batch, length]`` -> logits ``[batch, classes]``."""
        real = (pieces != PAD).unsqueeze(1)  # [batch, 1, length]
        return self.readout(self.features(self.embedding(pieces).transpose(1, 2), real))

    def features(self, hidden: Tensor, real: Tensor) -> Tensor:
        """*Shape:* hidden ``[batch, E, length]``, real ``[batch, 1, length]`` -> ``[batch,
        features]``.
        """
        raise NotImplementedError


def pool(hidden: Tensor) -> Tensor:
    """Maximum over time. Rows at padded positions are 0 and all others are after a ReLU, so
    padding never wins.

    *Shape:* ``[batch, channels, length]`` -> ``[batch, channels]``.
    """
    return hidden.amax(dim=-1)


class KimCNN(Student):
    """Convolutions of widths 3, 4 and 5 side by side, each max-pooled over time (Kim 2014)."""

    widths = (3, 4, 5)

    def __init__(
        self, vocabulary: int, classes: int, channels: int, embedding_dim: int, dropout: float
    ):
        features = channels * len(self.widths)
        super().__init__(vocabulary, classes, embedding_dim, dropout, features)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(embedding_dim, channels, k) for k in self.widths
        )

    def features(self, hidden: Tensor, real: Tensor) -> Tensor:
        # Padded by hand to the same length: torch's own "same" copies and warns for the even width.
        padded = [F.pad(hidden, ((k - 1) // 2, k // 2)) for k in self.widths]
        return torch.cat(
            [pool(conv(rows).relu() * real) for conv, rows in zip(self.convolutions, padded)],
            dim=-1,
        )


class BlendCNN(Student):
    """A stack of same-padded convolutions; the pools of *all* layers are joined (Chia et al. 2019)."""

    depth, width = 3, 5

    def __init__(
        self, vocabulary: int, classes: int, channels: int, embedding_dim: int, dropout: float
    ):
        features = channels * self.depth
        super().__init__(vocabulary, classes, embedding_dim, dropout, features, hidden=channels)
        sizes = [embedding_dim] + [channels] * self.depth
        self.convolutions = nn.ModuleList(
            nn.Conv1d(a, b, self.width, padding="same") for a, b in zip(sizes, sizes[1:])
        )

    def features(self, hidden: Tensor, real: Tensor) -> Tensor:
        pools = []
        for conv in self.convolutions:
            hidden = conv(hidden).relu() * real
            pools.append(pool(hidden))
        return torch.cat(pools, dim=-1)


class ResCNN(Student):
    """A projection, then residual blocks of two convolutions of width 3, max-pooled."""

    blocks = 2

    def __init__(
        self, vocabulary: int, classes: int, channels: int, embedding_dim: int, dropout: float
    ):
        super().__init__(vocabulary, classes, embedding_dim, dropout, channels)
        self.project = nn.Conv1d(embedding_dim, channels, 3, padding="same")
        self.pairs = nn.ModuleList(
            nn.ModuleList(nn.Conv1d(channels, channels, 3, padding="same") for _ in range(2))
            for _ in range(self.blocks)
        )

    def features(self, hidden: Tensor, real: Tensor) -> Tensor:
        hidden = self.project(hidden).relu() * real
        for first, second in self.pairs:
            inner = first(hidden).relu() * real
            hidden = (hidden + second(inner)).relu() * real
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

    low, high = 1, 4096
    if size(low) > budget:
        raise BadSetting(
            f"{name}: {size(low):,} parameters at the least with {vocabulary:,} pieces x "
            f"{embedding_dim}; budget {budget:,}"
        )
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(middle) <= budget else (low, middle - 1)
    # Widths that are multiples of 8 run faster than odd ones and cost the budget under a percent.
    channels = low - low % 8 if low >= 64 else low
    return family(vocabulary, classes, channels, embedding_dim, dropout)


def parameters(network: nn.Module) -> int:
    """The number of parameters, tied ones counted once."""
    return sum(p.numel() for p in network.parameters())


def svd_embedding(
    teacher_embedding: np.ndarray | Tensor,
    vocabulary: Vocabulary,
    embedding_dim: int,
    scale: float = 0.3,
) -> Tensor:
    """Rows for a student's embedding: the teacher's matrix projected on its leading right singular
    vectors.

    XtremeDistil (arXiv 2004.05686, section 3) starts its student so. The mean of the rows is taken
    out first (it is the same for all pieces and would fill the first dimension), and the whole is
    scaled to a standard deviation of
    ``scale``: both are ours.

    *Shape:* teacher_embedding ``[teacher's pieces, width]`` -> ``[len(vocabulary),
    embedding_dim]``; the padding row is 0.

    Raises:
        BadSetting: more dimensions asked for than the teacher's width.
    """
    matrix = torch.as_tensor(teacher_embedding, dtype=torch.float32)
    if embedding_dim > matrix.shape[1]:
        raise BadSetting(
            f"embedding_dim = {embedding_dim}: the teacher's embedding has only "
            f"{matrix.shape[1]} dimensions"
        )
    matrix = matrix - matrix.mean(dim=0)
    # The right singular vectors are the eigenvectors of the small Gram matrix: [width, width]
    # instead of [pieces, pieces].
    _, vectors = torch.linalg.eigh((matrix.T @ matrix).double())
    leading = vectors.flip(1)[:, :embedding_dim].float()
    leading = leading * leading.sum(dim=0).sign()  # an eigenvector's sign is arbitrary; fix it
    rows = matrix[list(vocabulary.teacher_ids)] @ leading
    rows = rows * (scale / rows.std())
    rows[PAD] = 0.0
    return rows


def start_embedding(
    student: nn.Module,
    embedding: str,
    teacher_embedding: np.ndarray | Tensor,
    vocabulary: Vocabulary,
) -> None:
    """Start a student's ``embedding`` from the SVD of the teacher's (``svd``), or leave it as drawn
    (``random``).

    Raises:
        BadSetting: another word than these two.
    """
    if embedding not in ("svd", "random"):
        raise BadSetting(f'embedding = "{embedding}"; expected svd or random')
    if embedding == "svd":
        weight = student.embedding.weight
        with torch.no_grad():
            weight.copy_(svd_embedding(teacher_embedding, vocabulary, weight.shape[1]))
