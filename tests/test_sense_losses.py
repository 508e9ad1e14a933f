"""Losses over pairs and over an instance's candidates, against the formulas written out."""

import math

import pytest
import torch
from torch.nn import functional as F

from gdlib.learn.losses import DistillationLoss, soft_kl
from gdlib.learn.names import PAIR_LOSSES
from gdlib.learn.sense_losses import NONE, choice_loss, in_rows

LOGITS = torch.tensor([[0.0, 1.0], [0.5, 0.0], [1.0, -1.0], [0.2, 0.4], [0.0, 3.0]])
LABELS, INSTANCE = torch.tensor([1, 0, 0, 0, 1]), torch.tensor([7, 7, 7, 2, 2])
ODDS = [[1.0, -0.5, -2.0], [0.2, 3.0]]
GOLD = DistillationLoss(hard_weight=1.0, soft_weight=0.0)


def test_over_pairs_it_is_the_cross_entropy_of_each() -> None:
    torch.testing.assert_close(
        PAIR_LOSSES["pairs"](LOGITS, LABELS, INSTANCE, GOLD), F.cross_entropy(LOGITS, LABELS)
    )


def test_over_candidates_it_is_the_surprise_at_the_right_one() -> None:
    by_hand = (
        sum(
            -math.log(math.exp(row[right]) / sum(map(math.exp, row)))
            for row, right in zip(ODDS, (0, 1))
        )
        / 2
    )
    assert PAIR_LOSSES["candidates"](LOGITS, LABELS, INSTANCE, GOLD).item() == pytest.approx(
        by_hand, rel=1e-5
    )
    moved = LOGITS + torch.tensor([5.0, -1.0])  # what all candidates have in common says nothing
    assert PAIR_LOSSES["candidates"](moved, LABELS, INSTANCE, GOLD).item() == pytest.approx(
        by_hand, rel=1e-5
    )


def test_a_teacher_is_learnt_from_over_each_instance_s_own_candidates() -> None:
    teacher = torch.tensor([[0.0, 2.0], [0.0, 1.0], [0.0, -1.0], [0.0, 0.5], [0.0, 0.0]])
    loss = PAIR_LOSSES["candidates"](
        LOGITS, LABELS, INSTANCE, DistillationLoss("kl", 2.0, 0.5, 1.5), teacher
    )
    soft = [
        soft_kl(torch.tensor([row]), torch.tensor([predictions]), 2.0)
        for row, predictions in zip(ODDS, ([2.0, 1.0, -1.0], [0.5, 0.0]))
    ]
    hard = PAIR_LOSSES["candidates"](LOGITS, LABELS, INSTANCE, GOLD)
    torch.testing.assert_close(loss, 0.5 * hard + 1.5 * (soft[0] + soft[1]) / 2)


def test_two_right_candidates_share_and_an_instance_without_one_counts_nothing() -> None:
    scores = torch.tensor([[1.0, 1.0, 0.0], [9.0, 0.0, NONE]], requires_grad=True)
    loss = choice_loss(scores, torch.tensor([[True, True, False], [False, False, False]]))
    assert loss.item() == pytest.approx(-math.log(2 * math.e / (2 * math.e + 1)))
    loss.backward()
    assert scores.grad[1].abs().sum() == 0 and scores.grad[0, 2] > 0
    assert choice_loss(scores, torch.zeros(2, 3, dtype=torch.bool)).item() == 0


def test_rows_are_filled_up() -> None:
    rows = in_rows(torch.arange(5), torch.tensor([3, 3, 0, 9, 9]), -1)
    assert rows.tolist() == [[0, 1], [2, -1], [3, 4]]


def test_squared_logits_of_a_pair_weigh_the_same_beside_an_instance_of_more_candidates() -> None:
    mixture = DistillationLoss("mse", 1.0, 0.0, 1.0)
    random = torch.Generator().manual_seed(0)
    logits, teacher = (torch.randn(10, 2, generator=random) for _ in range(2))
    labels = torch.tensor([1, 0] + [1] + [0] * 7)
    instance = torch.tensor([0] * 2 + [1] * 8)
    loss = PAIR_LOSSES["candidates"](logits, labels, instance, mixture, teacher)
    odds, others = logits[:, 1] - logits[:, 0], teacher[:, 1] - teacher[:, 0]
    torch.testing.assert_close(loss, (odds - others).square().mean())
