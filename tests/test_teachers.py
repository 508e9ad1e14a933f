"""Rules by hand-made distributions; what is kept against the whole distribution."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gdlib.core.errors import StaleArtifact, UnknownName
from gdlib.learn.mixtures import (
    Gate,
    Mixture,
    best_teacher,
    combine,
    confidence,
    evidence_of,
    gold_probability,
    learn_gate,
    mean,
    mixture,
)
from gdlib.learn.names import RULES
from gdlib.learn.predictions import TopPieces, everywhere, evidence, load, top_pieces

# Two teachers, two positions, four pieces. Teacher A: sure at the first position, uniform at the
# second; B the other way.
SURE = [0.97, 0.01, 0.01, 0.01]
EVEN = [0.25, 0.25, 0.25, 0.25]
P = torch.tensor([[SURE, EVEN], [EVEN, SURE]])
GOLD = torch.tensor([0, 1])  # A is right at the first; at the second B is sure of the wrong piece
SEEN = evidence(P.log(), GOLD)
H_SURE = -(0.97 * math.log(0.97) + 0.03 * math.log(0.01))


def test_evidence_by_hand():
    torch.testing.assert_close(
        SEEN.entropy, torch.tensor([[H_SURE, math.log(4)], [math.log(4), H_SURE]])
    )
    torch.testing.assert_close(SEEN.gold.exp(), torch.tensor([[0.97, 0.25], [0.25, 0.01]]))
    torch.testing.assert_close(SEEN.confidence.exp(), torch.tensor([[0.97, 0.25], [0.25, 0.97]]))
    certain = evidence(torch.tensor([[[1.0, 0.0]]]).log(), torch.tensor([0]))
    assert certain.entropy.item() == 0  # 0 log 0 is 0


@pytest.mark.parametrize("rule, first, second", [
    (mean, 0.5, 0.5),
    (confidence, math.log(4) / (math.log(4) + H_SURE), H_SURE / (math.log(4) + H_SURE)),
    (gold_probability, 0.97 / 1.22, 0.25 / 0.26),
    (best_teacher, 1.0, 1.0),
])  # fmt: skip
def test_weights_of_the_first_teacher(rule, first, second):
    weights = rule(SEEN)
    torch.testing.assert_close(weights, torch.tensor([[first, second], [1 - first, 1 - second]]))
    torch.testing.assert_close(
        combine(P.log(), weights).exp(), torch.einsum("mp,mpv->pv", weights, P)
    )
    torch.testing.assert_close(
        combine(SEEN.gold, weights), combine(P.log(), weights).gather(1, GOLD[:, None])[:, 0]
    )


def test_the_mean_by_hand():
    torch.testing.assert_close(
        combine(P.log(), mean(SEEN)).exp(), torch.tensor([[0.61, 0.13, 0.13, 0.13]] * 2)
    )


@given(st.integers(1, 4), st.integers(1, 5), st.integers(2, 9), st.integers(0, 10_000))
def test_every_rule_gives_a_distribution_and_one_teacher_is_itself(
    teachers, positions, pieces, seed
):
    random = torch.Generator().manual_seed(seed)
    predicted = (3 * torch.randn(teachers, positions, pieces, generator=random)).log_softmax(-1)
    gold = torch.randint(pieces, (positions,), generator=random)
    seen = evidence(predicted, gold)
    gate = Gate(
        torch.randn(teachers, 2 * teachers, generator=random),
        torch.randn(teachers, generator=random),
    )
    for name in RULES:
        weights = (gate if name == "gate" else RULES[name])(seen)
        torch.testing.assert_close(weights.sum(dim=0), torch.ones(positions))
        mixed = combine(predicted, weights)
        torch.testing.assert_close(mixed.exp().sum(-1), torch.ones(positions))
        if teachers == 1:
            torch.testing.assert_close(mixed, predicted[0])
    # Of all mixtures none gives the gold piece more than the best teacher alone, and none less than
    # the worst.
    best = combine(seen.gold, best_teacher(seen))
    torch.testing.assert_close(best, seen.gold.amax(dim=0))
    assert (
        combine(seen.gold, gold_probability(seen)) >= combine(seen.gold, mean(seen)) - 1e-5
    ).all()


def test_the_gate_learns_whom_to_trust_and_does_not_see_gold():
    """A is right when sure, B when unsure; so the gate has to turn from A to B with A's entropy."""
    random = torch.Generator().manual_seed(0)
    sure = torch.rand(400, generator=random) < 0.5
    gold = torch.zeros(400, dtype=torch.long)
    right, wrong, flat = (
        torch.tensor([0.8, 0.1, 0.1]),
        torch.tensor([0.1, 0.8, 0.1]),
        torch.tensor([0.34, 0.33, 0.33]),
    )
    a = torch.where(sure[:, None], right, flat)
    b = torch.where(sure[:, None], wrong, right)
    seen = evidence(torch.stack([a, b]).log(), gold)
    gate = learn_gate(seen)
    weights = gate(seen)
    assert (weights[0][sure] > 0.95).all() and (weights[1][~sure] > 0.95).all()
    assert combine(seen.gold, weights).mean() > combine(seen.gold, mean(seen)).mean() + 0.2
    blind = evidence(torch.stack([a, b]).log(), torch.ones_like(gold))
    assert torch.equal(gate(blind), weights)


def test_rules_by_name():
    with pytest.raises(
        UnknownName,
        match=(
            r'^unknown rule "median"; did you mean "mean"\? known: mean, confidence, '
            "gold probability, best teacher, gate$"
        ),
    ):
        RULES["median"]
    with pytest.raises(ValueError, match="has to be learnt"):
        RULES["gate"](SEEN)


# what is kept


def kept(logits, gold, number, digest="d"):
    return TopPieces(**top_pieces(logits, gold, number), vocabulary=logits.shape[1], digest=digest)


def test_what_is_kept_by_hand():
    logits = torch.tensor([[0.5, 0.3, 0.1, 0.06, 0.04]]).log() + 7  # any constant
    one = kept(logits, torch.tensor([3]), 2)
    assert one.pieces.tolist() == [[0, 1]]
    assert one.rest.item() == pytest.approx(0.2)
    torch.testing.assert_close(
        one.dense(torch.tensor([0])).exp(), torch.tensor([[0.5, 0.3, 0.2 / 3, 0.2 / 3, 0.2 / 3]])
    )
    assert one.gold.exp().item() == pytest.approx(0.06)  # not what is spread, but what was said
    assert one.entropy.item() == pytest.approx(
        -sum(p * math.log(p) for p in (0.5, 0.3, 0.1, 0.06, 0.04))
    )


def test_everything_kept_is_the_whole_distribution():
    logits = torch.randn(6, 11, generator=torch.Generator().manual_seed(0))
    one = kept(logits, torch.zeros(6, dtype=torch.long), 50)
    at = torch.tensor([4, 0, 4])
    torch.testing.assert_close(one.dense(at), logits.log_softmax(-1)[at])


def test_one_distribution_everywhere_by_hand():
    shares, gold = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([2, 0, 2, 1])
    always = everywhere(shares.log(), gold, "d")
    torch.testing.assert_close(always.dense(torch.tensor([3, 0])).exp(), shares.expand(2, 3))
    torch.testing.assert_close(always.gold.exp(), torch.tensor([0.2, 0.5, 0.2, 0.3]))
    surprise = -sum(share * math.log(share) for share in (0.5, 0.3, 0.2))
    torch.testing.assert_close(always.entropy, torch.full((4,), surprise))
    targets = mixture({"frequencies": always}, "mean")
    torch.testing.assert_close(targets.gold, shares.log()[gold])


def test_kept_and_read_back_is_checked(tmp_path):
    logits = torch.randn(6, 11, generator=torch.Generator().manual_seed(0))
    one = kept(logits, torch.zeros(6, dtype=torch.long), 3, "these")
    one.save(tmp_path)
    again = load(tmp_path, 11, "these")
    assert all(
        torch.equal(getattr(one, name), getattr(again, name))
        for name in ("pieces", "log_probabilities", "entropy", "gold")
    )
    with pytest.raises(
        StaleArtifact, match="are for other texts, or other masks, than those given"
    ):
        load(tmp_path, 11, "those")
    with pytest.raises(StaleArtifact, match="are over 11 pieces; expected 12"):
        load(tmp_path, 12, "these")


def test_mixture_of_an_arm():
    logits = torch.stack(
        [torch.randn(5, 7, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    )
    gold = torch.tensor([0, 1, 2, 3, 4])
    predicted = {name: kept(one, gold, 7) for name, one in zip(("a", "b"), logits)}
    at = torch.tensor([3, 1])
    whole = logits.log_softmax(-1)
    torch.testing.assert_close(mixture(predicted, "b")(at), whole[1][at])
    torch.testing.assert_close(mixture(predicted, "mean")(at).exp(), whole.exp().mean(dim=0)[at])
    seen = evidence_of(list(predicted.values()))
    torch.testing.assert_close(seen.entropy, evidence(whole, gold).entropy)
    torch.testing.assert_close(
        mixture(predicted, "best teacher")(at).gather(1, gold[at, None])[:, 0],
        seen.gold.amax(0)[at],
    )
    gate = Gate(torch.zeros(2, 4), torch.tensor([100.0, 0.0]))
    torch.testing.assert_close(mixture(predicted, "gate", gate)(at), whole[0][at])
    assert isinstance(mixture(predicted, "gate", gate), Mixture)
