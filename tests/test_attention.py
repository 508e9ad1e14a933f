"""Attention written out, against a loop over texts and heads and against torch's fused one."""

import numpy as np
import pytest
import tiny
import torch
from torch import nn
from torch.nn import functional as F

from gdlib.sources import attention, zoo
from gdlib.sources.attention import attend, attend_faster, is_faster


def drawn(texts, heads, groups, new, length, width=4):
    random = torch.Generator().manual_seed(0)
    query = torch.randn(texts, heads, new, width, generator=random)
    key, value = torch.randn(2, texts, groups, length, width, generator=random)
    seen = torch.rand(texts, 1, new, length, generator=random) < 0.7
    seen[..., 0] = True  # every piece sees something
    return query, key, value, seen


@pytest.fixture
def always(monkeypatch):
    """Written out, whatever is faster."""
    monkeypatch.setattr(attention, "is_faster", lambda query, key: True)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("groups", [1, 3, 9])
@pytest.mark.parametrize("new", [1, 5])
def test_written_out(always, new, groups, masked):
    query, key, value, seen = drawn(2, 9, groups, new, 5)
    found, _ = attend(nn.Module(), query, key, value, seen if masked else None, is_causal=False)
    assert found.shape == (2, new, 9, 4)
    for text in range(2):
        for head in range(9):
            group = head // (9 // groups)
            for place in range(new):
                scores = key[text, group].numpy() @ query[text, head, place].numpy() / 2
                weights = np.exp(scores) * (seen[text, 0, place].numpy() if masked else 1)
                expected = weights / weights.sum() @ value[text, group].numpy()
                assert np.allclose(found[text, place, head].numpy(), expected, atol=1e-5)


def test_without_a_mask_a_language_model_sees_what_came_before(always):
    query, key, value, _ = drawn(2, 4, 2, 6, 6)
    found, _ = attend(nn.Module(), query, key, value, None)
    wide = [one.repeat_interleave(2, dim=1) for one in (key, value)]
    expected = F.scaled_dot_product_attention(query, *wide, is_causal=True)
    assert torch.allclose(found, expected.transpose(1, 2), atol=1e-5)


@pytest.mark.parametrize("scaling", [None, 0.3])
def test_gradients_are_those_of_the_fused_one(always, scaling):
    given, gradients = drawn(2, 4, 4, 6, 6), []
    for fused in (False, True):
        own = [one.clone().requires_grad_() for one in given[:3]]
        if fused:
            kept = F.scaled_dot_product_attention(*own, attn_mask=given[3], scale=scaling)
            out = kept.transpose(1, 2)
        else:
            out, _ = attend(nn.Module(), *own, given[3], scaling=scaling)
        out.square().sum().backward()
        gradients.append([one.grad for one in own])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_dropout_leaves_the_mean_and_changes_the_rest(always):
    query, key, value, _ = drawn(1, 1, 1, 1, 2000, width=1)
    torch.manual_seed(0)
    found, _ = attend(nn.Module(), 0 * query, key, 1 + 0 * value, None, dropout=0.5)
    assert found.item() == pytest.approx(1, abs=0.1) and found.item() != 1


def test_where_it_is_faster():
    def asked(new, length, dtype, texts=64):
        query, key = (
            torch.empty(texts, 12, new, 32, dtype=dtype),
            torch.empty(texts, 12, length, 32),
        )
        return is_faster(query, key)

    with torch.inference_mode():
        assert asked(1, 500, torch.float32)
        assert asked(16, 16, torch.bfloat16) and not asked(16, 16, torch.float32)
        assert asked(128, 128, torch.bfloat16, texts=8)
        assert not asked(128, 128, torch.bfloat16)  # 48 MiB of scores
        with torch.autocast("cpu", torch.bfloat16):
            assert asked(16, 16, torch.float32)  # which is multiplied in bf16 all the same
    assert asked(128, 128, torch.bfloat16)  # with a gradient
    assert not is_faster(torch.empty(2, 2, 1, 4, device="meta"), torch.empty(2, 2, 1, 4))


@pytest.mark.parametrize("special", [
    {"position_bias": torch.zeros(1, 4, 6, 6)}, {"attention_mask": torch.zeros(2, 1, 6, 6)},
])  # fmt: skip
def test_what_is_special_goes_to_transformers(always, special):
    query, key, value, _ = drawn(2, 4, 4, 6, 6)
    given = {"attention_mask": None, "is_causal": False} | special
    found, _ = attend(nn.Module(), query, key, value, **given)
    plain, _ = attend(nn.Module(), query, key, value, None, is_causal=False)
    assert torch.allclose(found, plain, atol=1e-5)


def test_networks_are_loaded_with_it_and_answer_the_same(tmp_path):
    folder = tiny.encoder(tmp_path / "encoder")
    network = zoo.encoder(zoo.locate(str(folder))).eval()
    assert network.config._attn_implementation == attention.NAME
    ids = torch.randint(5, 20, (3, 7))
    mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3, [1] * 5 + [0] * 2])
    with torch.no_grad():
        found = network(ids, attention_mask=mask).last_hidden_state
        network.set_attn_implementation("sdpa")
        expected = network(ids, attention_mask=mask).last_hidden_state
    assert torch.allclose(found[mask == 1], expected[mask == 1], atol=1e-5)


def test_a_network_that_cannot_take_the_fused_one_is_left_as_it_is():
    from transformers import Gemma2Config, Gemma2ForCausalLM

    sizes = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 32, "head_dim": 8}
    layers = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
    network = Gemma2ForCausalLM(Gemma2Config(**sizes, **layers))
    before = network.config._attn_implementation
    attend_faster(network)
    assert before == network.config._attn_implementation == "eager"
