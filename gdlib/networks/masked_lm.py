"""Masked language modelling: which pieces are hidden, and the head, tied to the embeddings, that
guesses them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

NOT_HIDDEN = -100  # target of a piece that is not hidden
# of a new head's norm at its start: near the pieces' frequencies, from where it overfits less
HEAD_SCALE = 0.3


def mask_pieces(
    ids: Tensor,
    maskable: Tensor,
    tokenizer: PreTrainedTokenizerBase,
    seed: Sequence[int],
    share: float = 0.15,
) -> tuple[Tensor, Tensor]:
    """Hide pieces as BERT does (Devlin et al. 2019): of the chosen 80% become the mask, 10% any
    piece, 10% stay.

    The attention mask is no business of this function: a hidden piece is attended to like any
    other, padding never is.

    Args:
        ids: pieces. *Shape:* ``[batch, length]``.
        maskable: where a piece may be chosen: neither special nor padding. *Shape:* ``[batch,
            length]``, bool.
        tokenizer: says which piece is the mask, and how many there are to draw from.
        seed: of the choice.
        share: of the maskable pieces, each chosen by itself.

    Returns:
        The ids with pieces hidden, and the targets: the true id where chosen, :data:`NOT_HIDDEN`
            elsewhere.
    """
    state = np.random.SeedSequence(seed).generate_state(1)[0]
    generator = torch.Generator().manual_seed(int(state))
    chosen = (torch.rand(ids.shape, generator=generator) < share) & maskable
    kind = torch.rand(ids.shape, generator=generator)
    drawn = torch.randint(len(tokenizer), ids.shape, generator=generator)
    hidden = torch.where(kind < 0.8, tokenizer.mask_token_id, torch.where(kind < 0.9, drawn, ids))
    return torch.where(chosen, hidden, ids), torch.where(chosen, ids, NOT_HIDDEN)


def piece_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over the hidden pieces; 0 where there is none.

    *Shape:* logits ``[hidden, vocabulary]``, targets ``[batch, length]`` ->
    scalar.
    """
    hidden = targets[targets != NOT_HIDDEN]
    return F.cross_entropy(logits.float(), hidden, reduction="sum") / max(1, len(hidden))


class TiedHead(nn.Module):
    """From states to pieces: a GELU layer, a norm, and the encoder's own embedding matrix,
    transposed, with a bias.

    The matrix is passed in at each call and not held, so that it is one parameter of the network.

    Args:
        width: of the states.
        embedding: of the embeddings.
        vocabulary: number of pieces.
    """

    def __init__(self, width: int, embedding: int, vocabulary: int):
        super().__init__()
        self.dense = nn.Linear(width, embedding)
        self.norm = nn.LayerNorm(embedding)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    @torch.no_grad()
    def start(self, log_shares: Tensor) -> None:
        """Begin near the frequencies of the pieces, whatever the states. *Shape:*
        ``[vocabulary]``.
        """
        self.bias.copy_(log_shares)
        self.norm.weight.fill_(HEAD_SCALE)

    def forward(self, states: Tensor, embedding: Tensor) -> Tensor:
        """*Shape:* states ``[pieces, width]``, embedding ``[vocabulary, embedding]`` -> ``[pieces,
        vocabulary]``.
        """
        return F.linear(self.norm(F.gelu(self.dense(states))), embedding, self.bias)


class OnStates(nn.Module):
    """A head on states that are computed once, so that it can be trained by itself.

    Args:
        head: is trained in place.
        embedding: stands still. *Shape:* ``[vocabulary, embedding]``.
    """

    def __init__(self, head: TiedHead, embedding: Tensor):
        super().__init__()
        self.head = head
        self.register_buffer("embedding", embedding.detach(), persistent=False)

    def forward(self, states: Tensor) -> Tensor:
        """*Shape:* ``[pieces, width]`` -> ``[pieces, vocabulary]``."""
        return self.head(states, self.embedding)
