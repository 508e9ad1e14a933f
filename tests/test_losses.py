"""Losses against numbers worked out by hand, numpy in float64, and finite differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gdlib.core.errors import BadSetting, UnknownName
from gdlib.learn.losses import (
    DistillationLoss,
    StagedLoss,
    held_out_score,
    labelled_cross_entropy,
    logit_mse,
    logit_regression,
    soft_kl,
)
from gdlib.learn.names import REPRESENTATION_LOSSES

representation_mse, representation_kl = REPRESENTATION_LOSSES["mse"], REPRESENTATION_LOSSES["kl"]
logits = arrays(np.float64, (3, 4), elements=st.floats(-8, 8))


def softmax(x, temperature=1.0):
    powers = np.exp(x / temperature)
    return powers / powers.sum(-1, keepdims=True)


def gradient(loss, z):
    z = z.clone().requires_grad_()
    loss(z).backward()
    return z.grad


def test_labelled_cross_entropy_by_hand():
    # softmax of (0, ln 3) is (1/4, 3/4)
    z = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)]])
    assert labelled_cross_entropy(z, torch.tensor([0, 1])).item() == pytest.approx(
        (math.log(4) + math.log(4 / 3)) / 2
    )


def test_kl_by_hand():
    # teacher (1/2, 1/2), student (1/4, 3/4): KL = 1/2 ln 2 + 1/2 ln(2/3)
    z, t = torch.tensor([[0.0, math.log(3)]]), torch.zeros(1, 2)
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert soft_kl(z, t).item() == pytest.approx(expected)
    # the same two distributions at T = 2 from logits twice as large, times T^2
    assert soft_kl(2 * z, 2 * t, temperature=2.0).item() == pytest.approx(4 * expected)


def test_kl_is_teacher_first():
    z, t = torch.tensor([[0.0, 5.0]]), torch.tensor([[0.0, 0.0]])
    assert soft_kl(z, t).item() != pytest.approx(soft_kl(t, z).item(), rel=0.05)
    student, teacher = softmax(z.numpy()), softmax(t.numpy())
    assert soft_kl(z, t).item() == pytest.approx(
        (teacher * np.log(teacher / student)).sum(), rel=1e-5
    )


def test_kl_is_the_mean_over_the_batch():
    z, t = torch.randn(5, 3), torch.randn(5, 3)
    one_by_one = [soft_kl(z[i : i + 1], t[i : i + 1], 3.0).item() for i in range(5)]
    assert soft_kl(z, t, 3.0).item() == pytest.approx(np.mean(one_by_one), rel=1e-5)


def test_mse_is_the_mean_over_batch_and_classes():
    z, t = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 4.0]])
    assert logit_mse(z, t).item() == pytest.approx((0 + 4 + 9 + 0) / 4)


@given(z=logits, t=logits, temperature=st.floats(0.5, 20))
def test_kl_is_not_negative_and_zero_for_equal_distributions(z, t, temperature):
    student, teacher = torch.tensor(z), torch.tensor(t)
    assert soft_kl(student, teacher, temperature).item() >= -1e-9
    assert (
        abs(soft_kl(teacher + 3.0, teacher, temperature).item()) < 1e-9
    )  # a shift of all logits changes nothing
    if np.abs(softmax(z, temperature) - softmax(t, temperature)).max() > 1e-3:
        assert soft_kl(student, teacher, temperature).item() > 1e-8


@settings(deadline=None, max_examples=30)
@given(
    z=logits,
    t=logits,
    temperature=st.floats(0.5, 10),
    hard_weight=st.floats(0, 2),
    soft=st.sampled_from(["kl", "mse"]),
)
def test_gradient_by_finite_differences(z, t, temperature, hard_weight, soft):
    student, teacher, labels = torch.tensor(z), torch.tensor(t), torch.tensor([1, -1, 3])
    loss = DistillationLoss(soft, temperature, hard_weight, soft_weight=0.7)
    found = gradient(lambda x: loss(x, teacher, labels), student)
    for place in [(0, 0), (1, 2), (2, 3)]:
        step = torch.zeros_like(student)
        step[place] = 1e-5
        numeric = (
            loss(student + step, teacher, labels) - loss(student - step, teacher, labels)
        ) / 2e-5
        assert found[place].item() == pytest.approx(numeric.item(), abs=1e-5)


def test_gradient_of_the_kl_form_in_closed_form():
    """d/dz of T^2 KL is T (softmax(z/T) - softmax(t/T)) / batch."""
    z, t, temperature = (
        torch.randn(4, 5, dtype=torch.float64),
        torch.randn(4, 5, dtype=torch.float64),
        2.5,
    )
    expected = temperature * (softmax(z.numpy(), temperature) - softmax(t.numpy(), temperature)) / 4
    assert np.allclose(gradient(lambda x: soft_kl(x, t, temperature), z).numpy(), expected)


def test_at_high_temperature_the_gradient_is_that_of_centred_logits():
    """Hinton et al. 2015, equation 4: for large T it tends to (z - t) / classes for zero-mean
    logits, whatever T is.
    """
    z, t = torch.randn(6, 5, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    z, t = z - z.mean(-1, keepdim=True), t - t.mean(-1, keepdim=True)
    limit = (z - t) / 5 / 6  # classes, batch
    for temperature in (1e3, 1e4):
        assert torch.allclose(
            gradient(lambda x, T=temperature: soft_kl(x, t, T), z), limit, rtol=2e-2, atol=1e-4
        )
    sizes = [gradient(lambda x, T=T: soft_kl(x, t, T), z).norm().item() for T in (1.0, 4.0, 100.0)]
    assert max(sizes) < 3 * min(sizes)  # without the factor T^2 it would fall by 10,000


def test_mixture_is_the_weighted_sum():
    z, t, labels = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    for soft, value in (("kl", soft_kl(z, t, 2.0)), ("mse", logit_mse(z, t))):
        loss = DistillationLoss(soft, 2.0, hard_weight=0.3, soft_weight=1.7)
        assert loss(z, t, labels).item() == pytest.approx(
            (0.3 * labelled_cross_entropy(z, labels) + 1.7 * value).item(), rel=1e-6
        )


def test_texts_without_label_count_in_the_soft_loss_only():
    z, t, labels = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, -1, 2, -1])
    expected = soft_kl(z, t) + labelled_cross_entropy(z[[0, 2]], torch.tensor([0, 2]))
    assert DistillationLoss(hard_weight=1.0)(z, t, labels).item() == pytest.approx(
        expected.item(), rel=1e-6
    )
    none = torch.full((4,), -1)
    assert DistillationLoss(hard_weight=1.0)(z, t, none).item() == pytest.approx(
        soft_kl(z, t).item(), rel=1e-6
    )
    alone = DistillationLoss(hard_weight=1.0, soft_weight=0.0)
    assert alone(z, None, labels).item() == pytest.approx(
        labelled_cross_entropy(z[[0, 2]], torch.tensor([0, 2])).item(), rel=1e-6
    )


def test_errors():
    with pytest.raises(UnknownName, match='^unknown soft loss "ce"; known: kl, mse$'):
        DistillationLoss("ce")
    with pytest.raises(
        BadSetting, match="^hard_weight = 0.0, soft_weight = 0.0: expected >= 0, not both 0$"
    ):
        DistillationLoss(soft_weight=0.0)
    with pytest.raises(
        BadSetting, match="^hard_weight = -1, soft_weight = 1.0: expected >= 0, not both 0$"
    ):
        DistillationLoss(hard_weight=-1)
    with pytest.raises(BadSetting, match="^temperature = 0: expected > 0$"):
        DistillationLoss(temperature=0)


# XtremeDistil's losses


def test_logit_regression_by_hand():
    z, t = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert logit_regression(z, t).item() == pytest.approx((4 / 2 + (9 + 16) / 2) / 2)
    assert torch.allclose(
        gradient(lambda x: logit_regression(x, t), z), (z - t) / 2
    )  # (z - t), mean over the batch


def test_representation_losses_by_hand():
    u, v = torch.tensor([[0.0, math.log(3)]]), torch.zeros(1, 2)
    assert representation_mse(u, v).item() == pytest.approx(math.log(3) ** 2 / 2)
    # teacher (1/2, 1/2), student (1/4, 3/4)
    assert representation_kl(u, v).item() == pytest.approx(
        0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    )


@given(u=logits, v=logits, shift=st.floats(-5, 5))
def test_representation_kl_is_a_divergence_that_a_shift_does_not_change(u, v, shift):
    student, teacher = torch.tensor(u), torch.tensor(v)
    expected = (softmax(v) * np.log(softmax(v) / softmax(u))).sum(-1).mean()
    assert representation_kl(student + shift, teacher).item() == pytest.approx(expected, abs=1e-8)
    assert representation_kl(student, teacher).item() >= -1e-9


@settings(deadline=None, max_examples=30)
@given(
    z=logits,
    t=logits,
    weights=st.tuples(*[st.floats(0.01, 2)] * 3),
    kind=st.sampled_from(["mse", "kl"]),
)
def test_joint_loss_is_the_weighted_sum_and_stages_take_parts_of_it(z, t, weights, kind):
    z, t, labels = torch.tensor(z), torch.tensor(t), torch.tensor([1, -1, 3])
    u, v = z + 1.0, t * 2.0
    alpha, beta, gamma = weights
    loss = StagedLoss(alpha, beta, gamma, kind)
    hard = labelled_cross_entropy(z[[0, 2]], labels[[0, 2]])
    states, soft = (
        (representation_mse if kind == "mse" else representation_kl)(u, v),
        logit_regression(z, t),
    )
    assert loss(z, labels, t, u, v).item() == pytest.approx(
        (alpha * hard + beta * states + gamma * soft).item()
    )
    assert loss.only("hard")(z, labels).item() == pytest.approx((alpha * hard).item())
    assert loss.only("hard", "soft")(z, labels, t).item() == pytest.approx(
        (alpha * hard + gamma * soft).item()
    )
    assert loss.only("representation")(z, labels, t, u, v).item() == pytest.approx(
        (beta * states).item()
    )


def test_labels_alone_on_a_batch_without_any_is_zero_with_a_gradient():
    z = torch.randn(3, 4)
    assert StagedLoss().only("hard")(z, torch.full((3,), -1)).item() == 0
    assert torch.equal(
        gradient(lambda x: StagedLoss().only("hard")(x, torch.full((3,), -1)), z), torch.zeros(3, 4)
    )


def test_staged_loss_errors():
    with pytest.raises(UnknownName, match='^unknown representation loss "cosine"; known: mse, kl$'):
        StagedLoss(representation="cosine")
    none = (
        "^hard_weight = 0.0, representation_weight = 0, soft_weight = 0.0: expected >= 0, not "
        "all 0$"
    )
    with pytest.raises(BadSetting, match=none):
        StagedLoss(representation_weight=0).only("representation")
    with pytest.raises(
        BadSetting,
        match="^hard_weight = 1.0, representation_weight = -1, soft_weight = 1.0: expected",
    ):
        StagedLoss(representation_weight=-1)


def test_one_error_more_is_worse_however_many_items_there_are() -> None:
    """Also where the one with more errors is surer of what it gets right."""
    items, labels = 5000, torch.zeros(5000, dtype=torch.long)
    scores = []
    for wrong, surety in ((500, 0.01), (501, 20.0)):
        logits = torch.tensor([[surety, 0.0]]).repeat(items, 1)
        logits[:wrong] = torch.tensor([0.0, 0.01])
        scores.append(held_out_score(logits, labels))
    assert scores[0] < scores[1]
    assert 500 / items <= scores[0] < 501 / items
