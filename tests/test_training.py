"""The loop: what it computes, when it stops, what it leaves, and that a kill changes nothing."""

import math
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from killed_training import REGIME, batches, held_out, loss, network
from torch import nn

from gdlib.core.errors import BadSetting
from gdlib.learn.batches import batches_by_length, in_batches, pad
from gdlib.learn.loop import Regime, adamw, fit, rate, trainable_state


class Killed(Exception):
    pass


def killed_at(look, score=held_out):
    """A held-out score that raises at its ``look``-th call: the process as good as dies there."""
    calls = iter(range(1, 1000))

    def scored(model):
        if next(calls) == look:
            raise Killed
        return score(model)

    return scored


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def uninterrupted():
    model = network()
    return fit(model, batches, loss, held_out, REGIME), state(model)


# kill and resume


@pytest.mark.parametrize("look", [1, 2, 5, 8])
def test_resumed_is_uninterrupted_bit_for_bit(tmp_path, uninterrupted, look):
    with pytest.raises(Killed):
        fit(network(), batches, loss, killed_at(look), REGIME, resume=tmp_path / "c")
    torch.manual_seed(999)  # another process: nothing random carries over
    model = network()
    history = fit(model, batches, loss, held_out, REGIME, resume=tmp_path / "c")
    assert history == uninterrupted[0]
    assert same(state(model), uninterrupted[1])


def test_killed_three_times_is_uninterrupted(tmp_path, uninterrupted):
    for look in (2, 3, 1):
        with pytest.raises(Killed):
            fit(network(), batches, loss, killed_at(look), REGIME, resume=tmp_path / "c")
    model = network()
    assert fit(model, batches, loss, held_out, REGIME, resume=tmp_path / "c") == uninterrupted[0]
    assert same(state(model), uninterrupted[1])


def test_a_resumed_run_does_not_start_over(tmp_path):
    with pytest.raises(Killed):
        fit(network(), batches, loss, killed_at(4), REGIME, resume=tmp_path / "c")
    asked = []
    fit(
        network(),
        lambda step: asked.append(step) or batches(step),
        loss,
        held_out,
        REGIME,
        resume=tmp_path / "c",
    )
    assert asked == list(range(9, 24))  # the last checkpoint was at look 3, step 9


def test_frozen_parameters_and_dropout_after_resume(tmp_path):
    def partly_frozen():
        model = network()
        model[0].weight.requires_grad = False
        return model

    whole = partly_frozen()
    fit(whole, batches, loss, held_out, REGIME)
    assert torch.equal(whole[0].weight.cpu(), network()[0].weight)
    with pytest.raises(Killed):
        fit(partly_frozen(), batches, loss, killed_at(5), REGIME, resume=tmp_path / "c")
    resumed = partly_frozen()
    fit(resumed, batches, loss, held_out, REGIME, resume=tmp_path / "c")
    assert same(state(resumed), state(whole))


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
def test_a_process_killed_in_mid_training_goes_on_to_the_same_weights(tmp_path, uninterrupted):
    folder = tmp_path / "c"
    command = [
        sys.executable,
        str(Path(__file__).with_name("killed_training.py")),
        str(folder),
        "0.4",
    ]
    path = os.pathsep.join(
        filter(None, [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH")])
    )
    process = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE
    )
    try:
        until = time.monotonic() + 100
        while not (folder / "state.json").exists():
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < until, "no checkpoint came"
            time.sleep(0.02)
        time.sleep(0.5)
        assert process.poll() is None, "it ended before it could be killed"
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    asked = []
    model = network()
    history = fit(
        model,
        lambda step: asked.append(step) or batches(step),
        loss,
        held_out,
        REGIME,
        resume=folder,
    )
    assert 0 < asked[0] < 24  # it did go on, and not from the start
    assert history == uninterrupted[0] and same(state(model), uninterrupted[1])


# what is kept, and when it stops


def scores(values):
    """A made sequence of held-out scores."""
    rest = iter(values)
    return lambda model: next(rest)


def test_the_best_weights_are_put_back():
    seen, model = [], network()

    def score(m):
        seen.append(state(m))
        return (3.0, 1.0, 2.0, 1.5, 4.0, 1.0, 9.0, 9.0)[len(seen) - 1]

    history = fit(model, batches, loss, score, REGIME)
    assert (history.best, history.best_step) == (1.0, 6)  # of equal scores the earlier
    assert history.step == [3, 6, 9, 12, 15, 18, 21, 24] and history.held_out[2] == 2.0
    assert same(state(model), seen[1]) and not same(seen[1], seen[-1])
    assert not model.training


def test_early_stopping_at_the_right_step():
    regime = replace(REGIME, patience=2)
    history = fit(network(), batches, loss, scores([3.0, 2.0, 2.5, 1.0, 1.1, 1.2, 0.1]), regime)
    assert history.step == [3, 6, 9, 12, 15, 18] and history.best_step == 12


def test_resumed_early_stopping(tmp_path):
    regime, values = replace(REGIME, patience=3), [3.0, 2.0, 2.5, 2.6, 2.7]
    whole = fit(network(), batches, loss, scores(values), regime)
    with pytest.raises(Killed):
        fit(
            network(),
            batches,
            loss,
            killed_at(4, scores(values)),
            regime,
            resume=tmp_path,
        )
    assert fit(network(), batches, loss, scores(values[3:]), regime, resume=tmp_path) == whole
    assert whole.step[-1] == 15


@pytest.mark.parametrize(("goal", "moved"), [(-1.0, False), (1.0, True)])
def test_weights_that_training_made_no_better_are_put_back(goal: float, moved: bool) -> None:
    """A weight that training moves upwards from 0; its held-out score is its distance from the
    goal.
    """
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    regime = Regime(steps=4, lr=0.1, evaluate_every=1)
    history = fit(
        model,
        lambda _: {"x": torch.zeros(1)},
        lambda m, _: -m.weight.sum(),
        lambda m: abs(m.weight.item() - goal),
        regime,
        evaluate_first=True,
    )
    assert (history.best_step > 0, model.weight.item() > 0) == (moved, moved)
    assert history.best == pytest.approx(abs(model.weight.item() - goal))
    assert history.step == [0, 1, 2, 3, 4]
    assert history.held_out[0] == 1.0 and math.isnan(history.train_loss[0])


@pytest.mark.parametrize("steps", [1, 24])
def test_a_training_that_diverges_is_said_and_leaves_no_network(steps):
    regime, look = replace(REGIME, lr=1e38, steps=steps), min(steps, REGIME.evaluate_every)
    message = f"^the training diverged: its held-out score is nan after {look} steps; try a smal"
    with pytest.raises(BadSetting, match=message + "ler learning rate$"):
        fit(network(), batches, loss, held_out, regime)


def test_the_last_step_is_always_looked_at():
    history = fit(network(), batches, loss, held_out, replace(REGIME, steps=7, evaluate_every=5))
    assert history.step == [5, 7]


def test_training_loss_is_the_mean_since_the_last_look():
    history = fit(
        network(),
        batches,
        lambda m, b: loss(m, b) * 0 + b["y"].numel(),
        held_out,
        replace(REGIME, lr=0.0),
    )
    assert history.train_loss == [8.0] * 8


def test_one_step_is_adamw_by_hand():
    """The first step of AdamW moves every weight by lr against the sign of its gradient, and
    shrinks matrices by the decay.
    """
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -2.0]]))
        model.bias.copy_(torch.tensor([0.5]))
    regime = Regime(steps=1, lr=0.1, warmup=0.0, weight_decay=0.5, clip=1e9, precision="fp32")
    fit(
        model,
        lambda step: {"x": torch.tensor([[3.0, -4.0]])},
        lambda m, b: m(b["x"]).sum(),
        lambda m: 0.0,
        regime,
    )
    assert torch.allclose(
        model.weight.cpu(), torch.tensor([[1.0 * 0.95 - 0.1, -2.0 * 0.95 + 0.1]]), atol=1e-6
    )
    assert torch.allclose(model.bias.cpu(), torch.tensor([0.5 - 0.1]), atol=1e-6)


def test_gradient_is_clipped(monkeypatch):
    norms = []
    stepping = torch.optim.AdamW.step

    def step(self, *args, **kwargs):
        grads = [p.grad for group in self.param_groups for p in group["params"]]
        norms.append(torch.stack([g.norm() for g in grads]).norm().item())
        return stepping(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    fit(
        network(),
        batches,
        lambda m, b: 100 * loss(m, b),
        held_out,
        replace(REGIME, steps=3, clip=0.5),
    )
    assert norms == pytest.approx([0.5] * 3, abs=1e-4)


# the schedule, the groups, the precision


def test_triangle_by_hand():
    regime = Regime(steps=10, lr=1.0, warmup=0.4)
    assert [rate(step, regime) for step in range(11)] == pytest.approx(
        [1 / 4, 2 / 4, 3 / 4, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0]
    )
    assert rate(0, Regime(steps=10, lr=1.0, warmup=0.0)) == 1.0
    assert rate(0, Regime(steps=1, lr=1.0)) == 1.0


def test_the_cosine_rate_by_hand():
    regime = Regime(steps=10, lr=1.0, warmup=0.2, decay="cosine")
    assert [rate(step, regime) for step in (0, 1, 2, 4, 6, 8, 10)] == pytest.approx(
        [1 / 2, 1, 1, (1 + math.cos(math.pi / 4)) / 2, 1 / 2, (1 - math.cos(math.pi / 4)) / 2, 0]
    )


def test_the_constant_rate_by_hand():
    regime = Regime(steps=10, lr=1.0, warmup=0.2, decay="constant")
    assert [rate(step, regime) for step in (0, 1, 2, 5, 9)] == [1 / 2, 1, 1, 1, 1]


def test_the_rate_follows_the_triangle_also_after_a_resume(tmp_path, monkeypatch):
    rates = []
    stepping = torch.optim.AdamW.step

    def step(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return stepping(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(Killed):
        fit(network(), batches, loss, killed_at(3), REGIME, resume=tmp_path)
    assert rates == pytest.approx([0.01 * rate(i, REGIME) for i in range(9)])
    rates.clear()
    fit(network(), batches, loss, held_out, REGIME, resume=tmp_path)
    assert rates == pytest.approx([0.01 * rate(i, REGIME) for i in range(6, 24)])


def test_weight_decay_is_on_matrices_only():
    model = network()
    model[4].weight.requires_grad = False
    matrices, rest = adamw(model, replace(REGIME, weight_decay=0.3)).param_groups
    assert (matrices["weight_decay"], rest["weight_decay"]) == (0.3, 0.0)
    assert {p.shape for p in matrices["params"]} == {(16, 6)}
    assert {p.shape for p in rest["params"]} == {(16,), (3,)} and len(rest["params"]) == 4
    only_matrices = nn.Linear(2, 2, bias=False)
    assert len(adamw(only_matrices, REGIME).param_groups) == 1


@pytest.mark.parametrize(
    "precision, has, expected",
    [
        ("fp32", True, torch.float32),
        ("bf16", False, torch.bfloat16),
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
    ],
)
def test_precision(monkeypatch, precision, has, expected):
    monkeypatch.setattr("gdlib.core.hardware.has_bf16", lambda: has)
    kinds = set()

    def noted(model, batch):
        kinds.add(model(batch["x"]).dtype)
        return loss(model, batch)

    model = network()
    fit(model, batches, noted, held_out, replace(REGIME, steps=2, precision=precision))
    assert kinds == {expected}
    assert {p.dtype for p in model.parameters()} == {
        torch.float32
    }  # the weights themselves stay as they are


def test_trainable_state_leaves_out_what_is_frozen_and_keeps_buffers():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model[0].weight.requires_grad = False
    assert set(trainable_state(model)) == {
        "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
    }  # fmt: skip


# batches


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=300),
    batch_size=st.integers(1, 9),
    seed=st.integers(0, 5),
)
def test_batches_by_length_is_a_partition_of_every_epoch(lengths, batch_size, seed):
    at = batches_by_length(lengths, batch_size, seed)
    per_epoch = -(-len(lengths) // batch_size)
    for epoch in (0, 1):
        rows = [at(epoch * per_epoch + i) for i in range(per_epoch)]
        assert Counter(i for row in rows for i in row) == Counter(range(len(lengths)))
        sizes = sorted(map(len, rows), reverse=True)
        assert sizes[:-1] == [batch_size] * (per_epoch - 1) and 1 <= sizes[-1] <= batch_size
    again = batches_by_length(lengths, batch_size, seed)
    assert [again(i) for i in reversed(range(2 * per_epoch))][::-1] == [
        at(i) for i in range(2 * per_epoch)
    ]  # in any order


def test_batches_differ_by_epoch_and_seed():
    lengths = [5] * 64
    at, other = batches_by_length(lengths, 8, seed=0), batches_by_length(lengths, 8, seed=1)
    first, second = [at(i) for i in range(8)], [at(i) for i in range(8, 16)]
    assert first != second and first != [other(i) for i in range(8)]


def test_batches_by_length_pad_less_than_random_ones():
    random = np.random.default_rng(0)
    lengths = random.integers(5, 65, size=1000)

    def padding(batches):
        return sum(int(lengths[rows].max() * len(rows) - lengths[rows].sum()) for rows in batches)

    at = batches_by_length(lengths.tolist(), 16, seed=0)
    shuffled = np.array_split(random.permutation(1000), 63)
    assert padding([at(i) for i in range(63)]) < 0.2 * padding(shuffled)


@given(lengths=st.lists(st.integers(0, 30), max_size=40), batch_size=st.integers(1, 7))
def test_in_batches(lengths, batch_size):
    rows = list(in_batches(lengths, batch_size))
    flat = [i for row in rows for i in row]
    assert sorted(flat) == list(range(len(lengths)))
    assert all(len(row) == batch_size for row in rows[:-1])
    assert [lengths[i] for i in flat] == sorted(lengths, reverse=True)


def test_pad():
    assert pad([[1, 2, 3], [], [4]], 9).tolist() == [[1, 2, 3], [9, 9, 9], [4, 9, 9]]
    assert pad([], 0).shape == (0, 0) and pad([[1]], 0).dtype == torch.int64
