"""The recurrent student: a BiLSTM over the teacher's word pieces, for texts or for every piece of
them.

XtremeDistil (arXiv 1910.01769, 2004.05686). With ``h`` the BiLSTM's states, 2H wide, the student
says ``r = W_r h + b_r``, one ``h`` a text (the last state in the paper, the maximum over time in
its first code) or one per piece. While it learns, :class:`Projected` adds ``z = g(W_f h + b_f)``,
as wide as the teacher's states; it is dropped afterwards.

Both directions are plain LSTMs, the second over each text turned round in its place, so that
padding comes last in both and never reaches a real piece. On a CPU that takes half the time of
packed sequences, whose steps are not fused.
"""

import torch
from torch import Tensor, nn

from gdlib.core.errors import unknown
from gdlib.learn.schedules import Groups
from gdlib.networks.names import PROJECTIONS
from gdlib.networks.students import PAD

POOLINGS = ("last", "max", "none")


class BiLSTM(nn.Module):
    """One bidirectional LSTM and a linear readout.

    Args:
        vocabulary: rows of the embedding.
        classes: logits.
        hidden: H, the width of a direction.
        embedding_dim: E.
        dropout: on the embeddings and on the states.
        pooling: ``last`` (each direction's last state), ``max`` (over time), or ``none``: logits
            for every piece.

    Raises:
        UnknownName: no such pooling.
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        hidden: int,
        embedding_dim: int,
        dropout: float = 0.2,
        pooling: str = "max",
    ):
        super().__init__()
        if pooling not in POOLINGS:
            raise unknown("pooling", pooling, POOLINGS)
        self.pooling = pooling
        self.embedding = nn.Embedding(vocabulary, embedding_dim, padding_idx=PAD)
        self.ahead = nn.LSTM(embedding_dim, hidden, batch_first=True)
        self.back = nn.LSTM(embedding_dim, hidden, batch_first=True)
        for direction in (
            self.ahead,
            self.back,
        ):  # a forget gate that starts open (Jozefowicz et al. 2015)
            nn.init.ones_(direction.bias_ih_l0.data[hidden : 2 * hidden])
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(2 * hidden, classes)

    def forward(self, pieces: Tensor) -> Tensor:
        """*Shape:* pieces ``[batch, length]`` (0 is padding, on the right) -> logits ``[batch,
        classes]``, or with pooling ``none`` ``[batch, length, classes]``; those at padded positions
        mean nothing."""
        return self.readout(self.states(pieces))

    def states(self, pieces: Tensor) -> Tensor:
        """*Shape:* pieces ``[batch, length]`` -> ``[batch, 2H]``, or with pooling ``none``
        ``[batch, length, 2H]``.
        """
        real = pieces != PAD
        lengths, places = (
            real.sum(dim=1, keepdim=True),
            torch.arange(pieces.shape[1], device=pieces.device),
        )
        turned = torch.where(
            real, lengths - 1 - places, places
        )  # [batch, length]: where each place comes from
        embedded = self.dropout(self.embedding(pieces))
        ahead, back = self.ahead(embedded)[0], self.back(_at(embedded, turned))[0]
        if self.pooling == "last":
            last = (lengths - 1).clamp(min=0)
            return self.dropout(torch.cat([_at(ahead, last), _at(back, last)], dim=-1).squeeze(1))
        states = torch.cat([ahead, _at(back, turned)], dim=-1)
        if self.pooling == "max":
            states = states.masked_fill(~real.unsqueeze(-1), -1).amax(
                dim=1
            )  # no state is under -1: tanh times a sigmoid
        return self.dropout(states)

    def groups(self) -> Groups:
        """The layers, top first, as gradual unfreezing takes them."""
        return [
            ("readout", [self.readout]),
            ("BiLSTM", [self.ahead, self.back]),
            ("embedding", [self.embedding]),
        ]


def _at(rows: Tensor, index: Tensor) -> Tensor:
    """*Shape:* rows ``[batch, length, width]``, index ``[batch, n]`` -> ``[batch, n, width]``."""
    return rows.gather(1, index.unsqueeze(-1).expand(-1, -1, rows.shape[-1]))


def unchanged(states: Tensor) -> Tensor:
    """The same states."""
    return states


class Projected(nn.Module):
    """A student and, while it learns, ``z = g(W_f h + b_f)`` beside its logits.

    The papers' g is GELU. Half of what a teacher's layer norm puts out is negative and GELU gives
    nothing below -0.17, so that a quarter of the states' variance is out of its reach.

    Args:
        student: stays as it is when the projection is dropped; a :class:`BiLSTM`.
        width: of the teacher's states.
        projection: g, of :data:`gdlib.networks.names.PROJECTIONS`.
    """

    def __init__(self, student: BiLSTM, width: int, projection: str = "linear"):
        super().__init__()
        self.student, self.after = student, PROJECTIONS[projection]
        self.project = nn.Linear(student.readout.in_features, width)

    def forward(self, pieces: Tensor) -> tuple[Tensor, Tensor]:
        """*Shape:* pieces ``[batch, length]`` -> logits ``[..., classes]`` and projected states
        ``[..., width]``.
        """
        states = self.student.states(pieces)
        return self.student.readout(states), self.after(self.project(states))

    def groups(self) -> Groups:
        """Those of the student; the projection stands with the readout."""
        (name, top), *below = self.student.groups()
        return [(name, [*top, self.project]), *below]
