"""Masking as BERT does, and the tied head, against closed forms."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gdlib.networks.masked_lm import NOT_HIDDEN, TiedHead, mask_pieces, piece_loss

MASK, VOCABULARY = 4, 1000


class Tokenizer:
    """As much of a tokenizer as masking reads."""

    mask_token_id = MASK

    def __len__(self) -> int:
        return VOCABULARY


@pytest.fixture(scope="module")
def masked() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = torch.randint(5, VOCABULARY, (400, 500), generator=torch.Generator().manual_seed(1))
    maskable = torch.ones_like(ids, dtype=torch.bool)
    maskable[:, 0] = maskable[:, 400:] = False
    return (
        ids,
        maskable,
        *mask_pieces(ids, maskable, Tokenizer(), [0]),
    )


def test_of_the_chosen_80_are_masked_10_drawn_10_kept(masked) -> None:
    ids, maskable, hidden, targets = masked
    chosen = targets != NOT_HIDDEN
    assert chosen.sum() / maskable.sum() == pytest.approx(0.15, abs=0.004)
    assert (hidden[chosen] == MASK).float().mean() == pytest.approx(0.8, abs=0.01)
    kept = (hidden[chosen] == ids[chosen]).float().mean()
    assert kept == pytest.approx(
        0.1, abs=0.01
    )  # one in a thousand of the drawn ones is the true one by chance
    assert hidden[chosen][hidden[chosen] != MASK].unique().numel() > 900


def test_what_is_not_chosen_stays_and_is_not_asked_for(masked) -> None:
    ids, maskable, hidden, targets = masked
    chosen = targets != NOT_HIDDEN
    assert not (chosen & ~maskable).any()
    assert torch.equal(hidden[~chosen], ids[~chosen])
    assert torch.equal(targets[chosen], ids[chosen])


def test_the_choice_is_the_generators(masked) -> None:
    ids, maskable, hidden, _ = masked
    assert torch.equal(mask_pieces(ids, maskable, Tokenizer(), [0])[0], hidden)
    assert not torch.equal(mask_pieces(ids, maskable, Tokenizer(), [1])[0], hidden)


def test_the_loss_is_the_cross_entropy_of_what_is_asked_for() -> None:
    torch.manual_seed(0)
    logits, targets = (
        torch.randn(2, 5, 9),
        torch.tensor([[1, NOT_HIDDEN, 3, NOT_HIDDEN, 8], [NOT_HIDDEN] * 5]),
    )
    asked = targets != NOT_HIDDEN
    assert piece_loss(logits[asked], targets) == pytest.approx(
        F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=NOT_HIDDEN).item()
    )
    assert piece_loss(torch.zeros(0, 9, requires_grad=True), torch.full((1, 3), NOT_HIDDEN)) == 0


def test_the_head_is_tied_to_the_embeddings_and_holds_no_copy_of_them() -> None:
    torch.manual_seed(0)
    embedding, head = nn.Embedding(9, 4), TiedHead(6, 4, 9)
    states = torch.randn(3, 6)
    predictions = head(states, embedding.weight)
    by_hand = (
        head.norm(F.gelu(states @ head.dense.weight.T + head.dense.bias)) @ embedding.weight.T
        + head.bias
    )
    torch.testing.assert_close(predictions, by_hand)
    assert sum(p.numel() for p in head.parameters()) == 6 * 4 + 4 + 2 * 4 + 9
    predictions.sum().backward()
    assert embedding.weight.grad is not None
