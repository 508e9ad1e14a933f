"""The generator: drawing against brute force, sampling against recomputation without a cache,
training on the text alone.
"""

import json
import math

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Metaspace
from torch.nn import functional as F
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from gdlib.core.errors import BadSetting
from gdlib.learn.loop import trainable_state
from gdlib.networks import sampling as g
from gdlib.networks.generator import (
    IGNORED,
    GeneratorPlan,
    collate_text,
    encode,
    fine_tune,
    freeze,
    held_out_nll,
    nll,
)
from gdlib.networks.sampling import Generator, draw
from gdlib.sources import zoo
from gdlib.sources.corpora import Part

LABELS = ("animals", "music", "weather")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return zoo.locate(str(tiny.causal(tmp_path_factory.mktemp("causal"))))


@pytest.fixture(scope="module")
def generator(network):
    return Generator(zoo.causal(network), zoo.tokenizer(network))


@pytest.fixture(scope="module")
def part():
    texts = [text for label in LABELS for text in tiny.texts_of(label, 12, 0)]
    return Part(texts, [i // 12 for i in range(36)])


# drawing


def frequencies(logits, number=20_000, **knobs):
    drawn = draw(
        torch.tensor(logits).expand(number, -1), random=torch.Generator().manual_seed(0), **knobs
    )
    return np.bincount(drawn.numpy(), minlength=len(logits)) / number


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def test_of_many_tokens_only_those_with_a_mass_are_drawn_each_as_often_as_it_has_mass():
    """The tokens lie in three blocks of 256, at both of their ends; all others have none."""
    expected = np.zeros(600)
    expected[[0, 255, 256, 511, 512, 599]] = [0.05, 0.3, 0.2, 0.15, 0.1, 0.2]
    masses = torch.tensor(3 * expected, dtype=torch.float32).expand(20_000, -1)
    drawn = g.draw_from(masses, torch.Generator().manual_seed(0)).flatten()
    found = np.bincount(drawn.numpy(), minlength=600) / 20_000
    assert not found[expected == 0].any()
    assert np.abs(found - expected).max() < 0.015  # four standard deviations


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_the_softmax_at_a_temperature(temperature):
    logits = np.array([0.0, 1.0, 2.0, -1.0])
    found = frequencies(logits, temperature=temperature, top_p=1.0, top_k=0)
    assert np.abs(found - softmax(logits / temperature)).max() < 0.015  # four standard deviations


@pytest.mark.parametrize("knobs, kept", [
    ({"top_k": 2, "top_p": 1.0}, {0, 1}),
    ({"top_k": 99, "top_p": 1.0}, {0, 1, 2, 3}),
    ({"top_k": 0, "top_p": 0.45}, {0}),  # the token that crosses the mass is kept
    ({"top_k": 0, "top_p": 0.55}, {0, 1}),
    ({"top_k": 0, "top_p": 0.85}, {0, 1, 2}),
    ({"top_k": 0, "top_p": 1e-9}, {0}),
    ({"top_k": 3, "top_p": 0.8}, {0, 1}),  # within the three: 0.5/0.95 + 0.3/0.95 = 0.84
])  # fmt: skip
def test_filters_by_hand(knobs, kept):
    probabilities = np.array([0.5, 0.3, 0.15, 0.05])
    found = frequencies(np.log(probabilities), temperature=1.0, **knobs)
    assert set(np.flatnonzero(found)) == kept
    expected = np.where(np.isin(np.arange(4), list(kept)), probabilities, 0)
    assert np.abs(found - expected / expected.sum()).max() < 0.015


def test_temperature_comes_before_the_nucleus():
    probabilities = np.array(
        [0.5, 0.3, 0.15, 0.05]
    )  # at T = 1/2 the first has 0.685 of the mass, at T = 1 but 0.5
    assert set(
        np.flatnonzero(frequencies(np.log(probabilities), temperature=0.5, top_p=0.6, top_k=0))
    ) == {0}


@settings(deadline=None)
@given(
    rows=st.lists(st.lists(st.floats(-9, 9), min_size=6, max_size=6), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
def test_each_row_is_drawn_from_its_own_nucleus(rows, seed):
    logits = torch.tensor(rows)
    drawn = draw(logits, 1.0, 0.7, 4, torch.Generator().manual_seed(seed))
    assert drawn.shape == (len(rows),)
    for row, token in zip(logits.double().numpy(), drawn.tolist()):
        kept = np.where(row >= np.sort(row.astype(np.float32))[-4] - 1e-6, softmax(row), 0)
        kept /= kept.sum()
        above = kept[kept > kept[token] * (1 + 1e-5)].sum()
        assert (
            kept[token] > 0 and above < 0.7 + 1e-5
        )  # the more likely ones had not reached the mass yet


@pytest.mark.parametrize("top_p", [0.01, 0.5, 0.9, 1.0])
def test_a_flat_distribution_over_many_tokens_has_the_frequencies_of_its_sorted_nucleus(top_p):
    """Small nuclei are refused often, so that both ways of drawing take part."""
    probabilities = np.random.default_rng(0).dirichlet(np.ones(200))
    order = np.argsort(-probabilities)
    before = np.cumsum(probabilities[order]) - probabilities[order]
    nucleus = np.zeros(200)
    nucleus[order[before < top_p]] = probabilities[order[before < top_p]]
    found = frequencies(np.log(probabilities), temperature=1.0, top_p=top_p, top_k=0)
    assert not found[nucleus == 0].any()
    assert np.abs(found - nucleus / nucleus.sum()).max() < 0.015


@pytest.mark.parametrize("top_p", [0.0, 1e-300])
def test_of_a_nucleus_of_nothing_the_likeliest_token_is_left(top_p):
    logits = torch.randn(50, 30, generator=torch.Generator().manual_seed(1))
    drawn = draw(logits, 1.0, top_p, 0, torch.Generator().manual_seed(0))
    assert drawn.equal(logits.argmax(-1))


# sampling


def without_cache(generator, prompt, max_new_tokens):
    """The most likely token each time, from a full forward pass of one text alone."""
    ids, written = list(prompt), []
    for _ in range(max_new_tokens):
        with torch.no_grad():
            token = generator.network(torch.tensor([ids])).logits[0, -1].argmax().item()
        if token == generator.tokenizer.eos_token_id:
            return written, True
        ids.append(token)
        written.append(token)
    return written, False


def test_greedy_sampling_is_the_plain_recomputation(generator):
    prompts = [[0, token] for token in range(2, 42)]
    found = generator.sample(
        prompts, max_new_tokens=12, temperature=1.0, top_p=1.0, top_k=1, seed=0
    )
    assert found == [without_cache(generator, prompt, 12) for prompt in prompts]


def test_random_sampling_while_texts_leave_the_batch(generator, monkeypatch):
    """Every logits row that is drawn from is that of a full pass over the ids written so far,
    whoever has left before.
    """
    prompts, seen, logits_of = [[0, token] for token in range(2, 26)], [], []
    monkeypatch.setattr(
        g,
        "draw",
        lambda logits, *rest: (
            (logits_of.append(logits), seen.append(draw(logits, *rest)))[0] or seen[-1]
        ),
    )
    found = generator.sample(
        prompts, max_new_tokens=15, temperature=1.2, top_p=0.95, top_k=0, seed=4
    )
    lengths = [len(written) for written, _ in found]
    assert len(set(lengths)) > 4 and [len(rows) for rows in logits_of] == sorted(
        map(len, logits_of), reverse=True
    )
    assert len(logits_of[-1]) < len(prompts)  # some have left
    assert all(generator.tokenizer.eos_token_id not in written for written, _ in found)
    alive = list(range(len(prompts)))
    for step, (rows, chosen) in enumerate(zip(logits_of, seen)):
        assert len(rows) == len(alive)
        for place, row in enumerate(alive):
            with torch.no_grad():
                expected = generator.network(
                    torch.tensor([prompts[row] + found[row][0][:step]])
                ).logits[0, -1]
            assert torch.allclose(rows[place], expected, atol=1e-4)
            if step < lengths[row]:
                assert chosen[place].item() == found[row][0][step]
            else:
                assert chosen[place].item() == generator.tokenizer.eos_token_id and found[row][1]
        alive = [row for row in alive if step < lengths[row]]


def test_ended_says_whether_the_end_came_in_time(generator):
    knobs = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "seed": 1}
    long, short = (generator.sample([[0]] * 60, max_new_tokens=n, **knobs) for n in (40, 4))
    assert all(len(written) == 4 for written, ended in short if not ended)
    assert any(ended for _, ended in short) and any(not ended for _, ended in short)
    assert sum(ended for _, ended in long) > sum(ended for _, ended in short)


def test_the_same_seed_gives_the_same_texts(generator):
    knobs = {"max_new_tokens": 8, "temperature": 1.0, "top_p": 0.9, "top_k": 0}
    first = generator.sample([[0]] * 9, seed=5, **knobs)
    assert (
        first
        == generator.sample([[0]] * 9, seed=5, **knobs)
        != generator.sample([[0]] * 9, seed=6, **knobs)
    )


# texts in, targets out


def test_encode_by_hand(generator):
    tokenizer = generator.tokenizer
    ids = tokenizer(" the cat", add_special_tokens=False)["input_ids"]
    assert ids != tokenizer("the cat", add_special_tokens=False)["input_ids"]
    [(row, start)] = encode(tokenizer, Part(["the cat"], [1]), (), max_tokens=20)
    assert row == [0, *ids, 1] and start == 1
    [(row, start)] = encode(tokenizer, Part(["the cat"], [1]), LABELS, max_tokens=20)
    label = tokenizer("music:", add_special_tokens=False)["input_ids"]
    assert row == [0, *label, *ids, 1] and start == 1 + len(label)
    [(row, _)] = encode(tokenizer, Part(["the cat"], [1]), (), max_tokens=len(ids))
    assert row == [0, *ids]  # cut: it did not end, so the end is not learnt
    [(row, _)] = encode(tokenizer, Part(["the cat"], [1]), (), max_tokens=len(ids) + 1)
    assert row == [0, *ids, 1]


def test_a_tokenizer_that_puts_the_blank_itself_gets_none(generator):
    words = Tokenizer(
        WordLevel(
            {"<s>": 0, "</s>": 1, "\u2581the": 2, "\u2581cat": 3, "\u2581word": 4, "\u2581": 5},
            unk_token="<s>",
        )
    )
    words.pre_tokenizer = Metaspace()
    metaspace = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>")
    assert (g.blank(metaspace), g.blank(generator.tokenizer)) == ("", " ")
    assert encode(metaspace, Part(["the cat"], [0]), (), max_tokens=20) == [([0, 2, 3, 1], 1)]


def test_the_end_is_a_target_although_padding_has_its_id():
    out = collate_text([([0, 7, 8, 9, 1], 1), ([0, 5, 6, 1], 2)], pad_id=1)
    assert out["input_ids"].tolist() == [[0, 7, 8, 9, 1], [0, 5, 6, 1, 1]]
    assert out["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    assert out["targets"].tolist() == [[IGNORED, 7, 8, 9, 1], [IGNORED, IGNORED, 6, 1, IGNORED]]


def test_nll_by_hand(generator):
    rows = [([0, 7, 8, 9, 1], 1), ([0, 5, 6, 1], 2)]
    with torch.no_grad():
        found = nll(generator.network, collate_text(rows, 1)).item()
        losses = []
        for ids, start in rows:
            log = F.log_softmax(generator.network(torch.tensor([ids])).logits[0], dim=-1)
            losses += [-log[i - 1, ids[i]].item() for i in range(start, len(ids))]
    assert len(losses) == 4 + 2
    assert found == pytest.approx(np.mean(losses), abs=1e-4)


def test_held_out_nll_weighs_every_token_alike(generator):
    rows = [
        ([0] + [5 + i % 7] * (1 + i % 11) + [1], 1) for i in range(50)
    ]  # two batches of different lengths
    with torch.no_grad():
        found = held_out_nll(generator.network, rows, pad_id=1)
        total = tokens = 0
        for ids, start in rows:
            log = F.log_softmax(generator.network(torch.tensor([ids])).logits[0], dim=-1)
            total -= sum(log[i - 1, ids[i]].item() for i in range(start, len(ids)))
            tokens += len(ids) - start
    assert found == pytest.approx(total / tokens, abs=1e-4)


def test_prompts(generator):
    tokenizer = generator.tokenizer
    assert (
        generator.prompt() == [0] == generator.prompt(2)
    )  # not conditioned: the label is not asked for
    conditioned = Generator(generator.network, tokenizer, LABELS)
    assert conditioned.prompt(1) == [0, *tokenizer("music:", add_special_tokens=False)["input_ids"]]
    assert conditioned.prompt() == [0]


def test_prompts_without_bos_start_with_eos(generator):
    class WithoutBos:
        bos_token_id, eos_token_id = None, 1

    assert g.prompt(WithoutBos()) == [1]


def test_prompts_for_a_batch(generator, part):
    assert list(g.prompts_for(generator, 0, 3, part, 0, seed=0)) == [([0], "", -1)] * 3
    conditioned = Generator(generator.network, generator.tokenizer, LABELS)
    for batch in range(4):
        rows = list(g.prompts_for(conditioned, batch, 2, part, 0, seed=0))
        assert rows == [(conditioned.prompt(batch % 3), "", batch % 3)] * 2


@pytest.mark.parametrize("labels", [(), LABELS])
def test_prefixes_are_the_first_tokens_of_labelled_texts_as_they_were_learnt(
    generator, part, labels
):
    conditioned = Generator(generator.network, generator.tokenizer, labels)
    learnt = [ids for ids, _ in encode(generator.tokenizer, part, labels, max_tokens=60)]
    for batch in range(3):
        rows = list(g.prompts_for(conditioned, batch, 8, part, 3, seed=0))
        start = conditioned.prompt(batch if labels else None)
        assert (
            len({len(ids) for ids, _, _ in rows}) == 1
            and len({tuple(ids) for ids, _, _ in rows}) > 1
        )
        for ids, prefix, label in rows:
            assert len(ids) == len(start) + 3 and label == (batch if labels else -1)
            assert any(
                text[: len(ids)] == ids and (not labels or gold == batch)
                for text, gold in zip(learnt, part.labels)
            )
            assert prefix == generator.tokenizer.decode(ids[len(start) :])
    assert list(g.prompts_for(conditioned, 0, 8, part, 3, 0)) == list(
        g.prompts_for(conditioned, 0, 8, part, 3, 0)
    )


def test_prefix_longer_than_every_text(generator, part):
    why = r"^prefix_tokens \(of feedback: feedback_tokens\) = 500: no text is that long$"
    with pytest.raises(BadSetting, match=why):
        list(g.prompts_for(generator, 0, 2, part, 500, seed=0))


# what is trained


def trained(network):
    return {name for name, parameter in network.named_parameters() if parameter.requires_grad}


def test_freeze(network):
    full = zoo.causal(network)
    everything = trained(full)
    assert freeze(full, "full", 0) is full and trained(full) == everything
    last = {name for name in everything if name.startswith("model.layers.1.")} | {
        "model.norm.weight"
    }
    assert trained(freeze(zoo.causal(network), "last-1", 0)) == last
    both = {name for name in everything if name.startswith("model.layers.")} | {"model.norm.weight"}
    assert trained(freeze(zoo.causal(network), "last-2", 0)) == both


def test_lora(network):
    plain = zoo.causal(network)
    adapted = freeze(zoo.causal(network), "lora", seed=0)
    names = trained(adapted)
    matrices = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert len(names) == 2 * 2 * len(matrices) and all(
        "lora_" in name and any(m in name for m in matrices) for name in names
    )
    assert all(
        p.shape[0 if "lora_A" in name else 1] == 16
        for name, p in adapted.named_parameters()
        if name in names
    )
    ids = torch.tensor([[0, 5, 9]])
    with torch.no_grad():  # adapters start as nothing
        assert torch.allclose(adapted.eval()(ids).logits, plain.eval()(ids).logits, atol=1e-6)
    again = freeze(zoo.causal(network), "lora", seed=0)
    assert all(
        torch.equal(a, b)
        for a, b in zip(trainable_state(adapted).values(), trainable_state(again).values())
    )


@pytest.mark.parametrize(
    "method", ["last-3", "last-0", "last-", "last", "last-x", "lasso-1", "adapter", "LORA"]
)
def test_freeze_error(network, method):
    expected = f'generator_method = "{method}"; expected full, lora, or last-K with K from 1 to 2'
    with pytest.raises(BadSetting) as error:
        freeze(zoo.causal(network), method, 0)
    assert str(error.value) == expected


def plan(**changes):
    values = {
        "method": "full",
        "conditioned": False,
        "epochs": 3,
        "lr": 3e-3,
        "batch": 6,
        "max_tokens": 30,
        "seed": 1,
    }
    return GeneratorPlan(**(values | changes))


@pytest.mark.parametrize("method", ["full", "lora", "last-1"])
def test_fine_tune_and_load_back(network, part, tmp_path, method, monkeypatch):
    monkeypatch.setattr("gdlib.core.hardware.has_bf16", lambda: False)
    held_out = Part(
        [text for label in LABELS for text in tiny.texts_of(label, 16, 0)[12:]],
        [0] * 4 + [1] * 4 + [2] * 4,
    )
    history = fine_tune(network, part, held_out, LABELS, plan(method=method), tmp_path)
    kept = json.loads((tmp_path / "history.json").read_text())
    loaded = Generator.load(tmp_path)
    assert loaded.labels == () and kept["best_step"] == history.best_step
    assert {path.suffix for path in tmp_path.glob("*.safetensors")} == {
        ".safetensors"
    } and not list(tmp_path.glob("*.bin"))
    plain = LlamaForCausalLM.from_pretrained(tmp_path).eval()
    ids = torch.tensor([[0, 5, 9, 100]])
    rows = encode(loaded.tokenizer, held_out, (), 30)
    with torch.no_grad():
        assert torch.allclose(loaded.network.cpu()(ids).logits, plain(ids).logits, atol=1e-6)
        assert math.exp(held_out_nll(plain, rows, 1)) == pytest.approx(
            kept["perplexity_after"], rel=1e-3
        )
        before = zoo.causal(network).eval()
        assert math.exp(held_out_nll(before, rows, 1)) == pytest.approx(
            kept["perplexity_before"], rel=1e-3
        )
    assert kept["perplexity_after"] < kept["perplexity_before"]
    moved = {
        name
        for name, tensor in plain.state_dict().items()
        if not torch.equal(tensor, before.state_dict()[name])
    }
    assert ("model.embed_tokens.weight" in moved) == (method == "full")
    assert ("model.layers.0.mlp.up_proj.weight" in moved) == (method != "last-1")
    assert "model.layers.1.mlp.up_proj.weight" in moved


def test_conditioned_fine_tuning_is_loaded_with_its_labels(network, part, tmp_path):
    fine_tune(network, part, part, LABELS, plan(conditioned=True, epochs=1), tmp_path)
    assert Generator.load(tmp_path).labels == LABELS


def test_killed_fine_tuning_goes_on_to_the_same_weights(network, part, tmp_path, monkeypatch):
    from gdlib.learn import checkpoint

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    expected = fine_tune(network, part, part, LABELS, plan(method="lora"), whole)
    saves, saving = iter(range(100)), checkpoint.save

    def save(*args):
        saving(*args)
        if next(saves) == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save)
        with pytest.raises(KeyboardInterrupt):
            fine_tune(network, part, part, LABELS, plan(method="lora"), cut)
    assert fine_tune(network, part, part, LABELS, plan(method="lora"), cut) == expected
    one, other = (LlamaForCausalLM.from_pretrained(folder).state_dict() for folder in (whole, cut))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (whole / "history.json").read_bytes() == (cut / "history.json").read_bytes()
