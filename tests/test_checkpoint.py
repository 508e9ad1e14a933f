"""Checkpoints: a round trip, and nothing but a whole one is ever taken up."""

import json
import math

import pytest
import torch
from killed_training import REGIME, batches, held_out, loss, network

from gdlib.core.errors import BadSetting
from gdlib.learn import checkpoint
from gdlib.learn.loop import fit


@pytest.fixture
def saved(tmp_path):
    groups = {
        "network": {"a/b.weight": torch.arange(6.0).view(2, 3)},
        "best": {},
        "optimizer 0": {"step": torch.tensor(7.0)},
    }
    checkpoint.save(tmp_path, 7, groups, {"best": math.inf, "step": [7]})
    return tmp_path


def test_round_trip(saved):
    found = checkpoint.load(saved)
    assert found.step == 7 and found.extra == {"best": math.inf, "step": [7]}
    assert torch.equal(found.tensors["network"]["a/b.weight"], torch.arange(6.0).view(2, 3))
    assert found.tensors["best"] == {} and found.tensors["optimizer 0"]["step"].item() == 7


def test_the_random_state_comes_back(tmp_path):
    torch.manual_seed(3)
    torch.rand(5)
    checkpoint.save(tmp_path, 1, {}, {})
    expected = torch.rand(4)
    torch.manual_seed(0)
    checkpoint.load(tmp_path)
    assert torch.equal(torch.rand(4), expected)


def test_tensors_that_share_memory_are_saved(tmp_path):
    tied = torch.randn(3)
    checkpoint.save(tmp_path, 1, {"network": {"in": tied, "out": tied}}, {})
    assert torch.equal(checkpoint.load(tmp_path).tensors["network"]["out"], tied)


def test_only_the_newest_weights_are_kept(saved):
    checkpoint.save(saved, 9, {"network": {"w": torch.zeros(1)}}, {})
    assert sorted(path.name for path in saved.iterdir()) == ["state.json", "step-9.safetensors"]
    assert checkpoint.load(saved).step == 9


def test_killed_between_weights_and_state_leaves_the_former(saved, monkeypatch):
    def killed(path, content):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(saved, 9, {"network": {"w": torch.zeros(1)}}, {})
    assert checkpoint.load(saved).step == 7


def test_nothing_there(tmp_path):
    assert checkpoint.load(tmp_path) is None
    assert checkpoint.load(tmp_path / "nowhere") is None


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "no json", "state of nothing"])
def test_a_damaged_checkpoint_counts_as_none(saved, damage):
    weights, state = saved / "step-7.safetensors", saved / "state.json"
    content = weights.read_bytes()
    match damage:
        case "flipped":
            weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "cut":
            weights.write_bytes(content[: len(content) // 2])
        case "gone":
            weights.unlink()
        case "no json":
            state.write_text(state.read_text()[:20])
        case "state of nothing":
            state.write_text(json.dumps({"step": 7}))
    assert checkpoint.load(saved) is None


def test_training_starts_over_from_a_damaged_checkpoint(tmp_path):
    whole = network()
    history = fit(whole, batches, loss, held_out, REGIME)
    fit(network(), batches, loss, held_out, REGIME, resume=tmp_path)
    weights = next(tmp_path.glob("step-*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-8] + b"damaged!")
    model = network()
    assert fit(model, batches, loss, held_out, REGIME, resume=tmp_path) == history
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.parameters()))


def test_optimizer_round_trip():
    def stepped(optimizer, model, times):
        for _ in range(times):
            loss(model, batches(0)).backward()
            optimizer.step()
            optimizer.zero_grad()

    torch.manual_seed(0)
    model = network().eval()  # no dropout: two copies step alike
    optimizer = torch.optim.AdamW(model.parameters())
    stepped(optimizer, model, 3)
    copy = network().eval()
    copy.load_state_dict(model.state_dict())
    other = torch.optim.AdamW(copy.parameters())
    slots = {
        group: {name: tensor.clone() for name, tensor in named.items()}
        for group, named in checkpoint.optimizer_tensors(optimizer).items()
    }
    checkpoint.restore_optimizer(other, checkpoint.Checkpoint(3, slots, {}))
    stepped(optimizer, model, 2)
    stepped(other, copy, 2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), copy.parameters()))


@pytest.mark.parametrize("seconds, expected", [("0", list(range(3, 24, 3))), ("7", [9, 18])])
def test_checkpoints_are_so_many_seconds_apart(tmp_path, monkeypatch, seconds, expected):
    """A look every three steps, which take a second each."""
    monkeypatch.setenv("GDLIB_CHECKPOINT_SECONDS", seconds)
    now, saved = [0.0], []
    monkeypatch.setattr("gdlib.learn.loop.time.monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "save", lambda folder, step, *rest: saved.append(step))

    def a_second_later(step):
        now[0] += 1
        return batches(step)

    fit(network(), a_second_later, loss, held_out, REGIME, resume=tmp_path)
    assert saved == expected


def test_the_seconds_between_checkpoints_are_checked(monkeypatch):
    for value in ("often", "-1", "1.5", "nan", "9" * 5_000):
        monkeypatch.setenv("GDLIB_CHECKPOINT_SECONDS", value)
        expected = "; expected whole seconds, 0 for a checkpoint at every look$"
        with pytest.raises(
            BadSetting, match=f'^GDLIB_CHECKPOINT_SECONDS is "{value[:40]}"{expected}'
        ):
            checkpoint.pause()
    monkeypatch.delenv("GDLIB_CHECKPOINT_SECONDS")
    assert checkpoint.pause() == 30
