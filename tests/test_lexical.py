"""LMGC, LMGC-M, gloss vectors, small students: on a tiny encoder, against forwards by hand."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch.nn import functional as F

from gdlib.learn.losses import DistillationLoss, soft_kl
from gdlib.networks import encoders, gloss_vectors, lexical_mlm
from gdlib.networks import pairs as lexical
from gdlib.networks.lexical_models import LABELS, LexicalModel, VectorModel
from gdlib.networks.lexical_plans import LexicalPlan
from gdlib.networks.masked_lm import NOT_HIDDEN
from gdlib.networks.sense_coding import Coder
from gdlib.sources import senses as wsd
from gdlib.sources import tables, zoo
from gdlib.sources.senses import Instance

PLAN = LexicalPlan(
    epochs=1, lr=3e-3, batch=8, max_length=48, dropout=0.0, negatives=2, trained_layers=0, seed=0
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> zoo.Network:
    return zoo.locate(str(tiny.encoder(tmp_path_factory.mktemp("encoder"))))


@pytest.fixture(scope="module")
def some() -> list[Instance]:
    """Forty instances with few candidates and short glosses."""
    short = [
        one
        for one in wsd.instances_of("wordnet", tables.read_card("wordnet", "senses")["train"])
        if 2 <= len(one.candidates) <= 4 and one.teaches and len(one.tokens) < 7
    ]
    return wsd.sample(short, 40, seed=0)


@pytest.fixture(scope="module")
def coder(network: zoo.Network) -> Coder:
    return Coder(zoo.tokenizer(network), 48)


def model_of(network: zoo.Network, mlm: bool = False) -> LexicalModel:
    torch.manual_seed(0)
    return LexicalModel(zoo.classifier(network, LABELS, 0.0), mlm).eval()


# ---- the losses


def asked_of(coder: Coder, some: list[Instance], places: int = 2) -> dict[str, torch.Tensor]:
    """The first pairs of some instances as a batch."""
    coded = coder.code(some)
    pairs = [(one, place) for one in coded for place in range(places)]
    labels = torch.tensor([int(one.gold[place]) for one, place in pairs])
    instance = torch.arange(len(some)).repeat_interleave(places)
    return coder.pairs(pairs) | {"labels": labels, "instance": instance}


def by_hand(model: LexicalModel, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """L_WSD of the whole pairs, L_MLM of all copies, by the body's states and both heads."""
    body = {name: batch[name] for name in ("input_ids", "attention_mask")}
    whole = model.classifier.bert(**body)
    pair_logits = model.classifier.classifier(whole.pooler_output)
    copies = model.classifier.bert(**{**body, "input_ids": batch["masked"]}).last_hidden_state
    states = model.mlm_head.norm(F.gelu(model.mlm_head.dense(copies)))
    embeddings = model.classifier.bert.embeddings.word_embeddings.weight
    piece_logits = (states @ embeddings.T + model.mlm_head.bias).flatten(0, 1)
    return [
        F.cross_entropy(pair_logits, batch["labels"]),
        F.cross_entropy(piece_logits, batch["targets"].flatten(), ignore_index=NOT_HIDDEN),
    ]


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_lmgc_m_reads_senses_from_the_whole_pair_and_pieces_from_a_hidden_copy(
    network, some, coder, weight: float
) -> None:
    model, batch = model_of(network, mlm=True), asked_of(coder, some[:3])
    every_fifth = torch.arange(batch["input_ids"].shape[1]) % 5 == 0
    some_rows = torch.tensor([True, False, False, True, True, False])[:, None]
    hidden = coder.maskable(batch) & every_fifth & some_rows
    batch["targets"] = torch.where(hidden, batch["input_ids"], NOT_HIDDEN)
    batch["masked"] = torch.where(hidden, coder.tokenizer.mask_token_id, batch["input_ids"])
    plan = replace(PLAN, mlm=True, mlm_weight=weight)
    of_senses, of_pieces = by_hand(model, batch)
    loss = lexical_mlm.lexical_loss(model, batch, plan)
    torch.testing.assert_close(loss, of_senses + weight * of_pieces)
    nothing = batch | {"targets": torch.full_like(batch["targets"], NOT_HIDDEN)}
    torch.testing.assert_close(lexical_mlm.lexical_loss(model, nothing, plan), of_senses)
    alone = {name: batch[name] for name in batch.keys() - {"masked", "targets"}}
    torch.testing.assert_close(lexical_mlm.lexical_loss(model, alone, PLAN), of_senses)


def test_one_pair_of_each_instance_has_a_hidden_copy(some, coder) -> None:
    batch, plan = asked_of(coder, some[:20]), replace(PLAN, mlm=True, mask_share=0.5)
    copies = [lexical_mlm.masked_copies(batch, coder, plan, step) for step in (0, 0, 1, 2, 3, 4)]
    for copy in copies:
        hidden = copy["targets"] != NOT_HIDDEN
        assert hidden.any(1).view(20, 2).sum(1).eq(1).all()
        assert torch.equal(copy["targets"][hidden], batch["input_ids"][hidden])
        assert torch.equal(copy["masked"][~hidden], batch["input_ids"][~hidden])
        assert (hidden & batch["second"]).any() and (hidden & ~batch["second"]).any()
        assert not (hidden & ~coder.maskable(batch)).any()
        share = hidden.sum() / (coder.maskable(batch) & hidden.any(1, keepdim=True)).sum()
        assert share == pytest.approx(0.5, abs=0.08)
    assert torch.equal(copies[0]["masked"], copies[1]["masked"])
    rows = torch.stack([(copy["targets"] != NOT_HIDDEN).any(1) for copy in copies[1:]])
    assert rows.any(0).all(), "each pair has its turn"


def test_the_head_is_trained_first_and_alone_and_its_losses_are_those_by_hand(
    network, some, coder
) -> None:
    plan = replace(PLAN, mlm=True, mlm_head_steps=300)
    model, train, held_out = (
        model_of(network, mlm=True),
        lexical.Pairs(coder, some, plan),
        lexical.Pairs(coder, some[:10], plan),
    )
    before = {name: t.clone() for name, t in model.classifier.state_dict().items()}
    steps = train.per_epoch, held_out.per_epoch
    notes = lexical_mlm.warm_up(model, train.batch, steps[0], held_out.batch, steps[1], plan)
    assert all(torch.equal(t, before[name]) for name, t in model.classifier.state_dict().items())

    def pieces_of(data: lexical.Pairs) -> list[int]:
        batches = [data.batch(step)["targets"].flatten() for step in range(data.per_epoch)]
        return [piece for piece in torch.cat(batches).tolist() if piece != NOT_HIDDEN]

    seen, asked = Counter(pieces_of(train)), pieces_of(held_out)
    total = seen.total() + 0.1 * len(coder.tokenizer)
    frequency = -np.mean([math.log((seen[piece] + 0.1) / total) for piece in asked])
    assert notes["mlm_frequency_loss"] == pytest.approx(frequency, rel=1e-4)
    sums = 0.0
    with torch.inference_mode():
        for step in range(held_out.per_epoch):
            batch = held_out.batch(step)
            hidden = (batch["targets"] != NOT_HIDDEN).sum().item()
            sums += by_hand(model, batch)[1].item() * hidden
    assert notes["mlm_head_loss"] == pytest.approx(sums / len(asked), rel=0.02)  # maybe bf16
    assert notes["mlm_head_loss"] < notes["mlm_frequency_loss"] - 0.1


def test_both_gradients_are_those_of_each_loss_alone(network, some, coder) -> None:
    model, plan = model_of(network, mlm=True), replace(PLAN, mlm=True, mlm_weight=7.0)
    batch = lexical.Pairs(coder, some, plan).batch(0)
    encoders.freeze(model.classifier, 1, pooler=False)
    norms = lexical_mlm.gradient_norms(model, batch, plan)
    found, learning = [], [p for p in model.classifier.bert.parameters() if p.requires_grad]
    assert 0 < len(learning) < len(list(model.classifier.bert.parameters()))
    for loss in by_hand(model.eval(), batch):
        model.zero_grad()
        loss.backward()
        found.append(math.sqrt(sum((p.grad**2).sum().item() for p in learning)))
    assert [norms["wsd_gradient"], norms["mlm_gradient"]] == pytest.approx(found, rel=0.05)


@pytest.mark.parametrize("pooling", ["parts", "target"])
def test_parts_are_read_from_the_means_of_sentence_or_target_and_gloss(
    network, some, coder, pooling: str
) -> None:
    torch.manual_seed(0)
    if pooling == "target":
        coder = Coder(coder.tokenizer, 48, target=True)
    model, coded = (
        LexicalModel(zoo.classifier(network, LABELS), mlm=False, pooling=pooling).eval(),
        coder.code(some[:4]),
    )
    asked = [(one, place) for one in coded for place in (0, 1)]
    means = []
    for one, place in asked:  # one by one, no padding
        ids, start, target = coder.pair(one, place)
        states = model.classifier(torch.tensor([ids])).last_hidden_state[0]
        first = states[1 : 1 + len(target)][torch.tensor(target)]
        first = states[:start] if pooling == "parts" else first
        means.append((first.mean(0), states[start:].mean(0)))
    logits = model(**coder.pairs(asked))[0]
    cosines = torch.stack([F.cosine_similarity(u, v, dim=0) for u, v in means])
    torch.testing.assert_close(
        logits, torch.stack([-10 * cosines, 10 * cosines], dim=1), atol=1e-4, rtol=1e-4
    )  # at the start
    model.parts_head.center(logits.detach(), right=0.25)
    odds = model(**coder.pairs(asked))[0] @ torch.tensor([-1.0, 1.0])
    assert odds.mean().item() == pytest.approx(math.log(0.25 / 0.75), abs=1e-4)
    torch.nn.init.normal_(model.parts_head.linear.weight)
    u, v = (F.normalize(torch.stack(side), dim=-1) for side in zip(*means))
    by_hand = model.parts_head.linear(torch.cat([u, v, (u - v).abs(), u * v], dim=-1))
    torch.testing.assert_close(model(**coder.pairs(asked))[0], by_hand, atol=1e-4, rtol=1e-4)


def test_a_student_learns_from_pair_logits_and_gold(network, some, coder) -> None:
    model, coded = model_of(network), coder.code(some[:2])
    inputs, teacher, labels = (
        coder.pairs([(coded[0], 0), (coded[1], 1)]),
        torch.tensor([[1.0, -1.0], [0.5, 2.0]]),
        torch.tensor([0, 1]),
    )
    loss = lexical_mlm.lexical_loss(
        model,
        {**inputs, "labels": labels, "teacher": teacher, "instance": labels},
        replace(PLAN, loss=DistillationLoss("kl", 2.0, 0.5, 1.0)),
    )
    predictions = model(**inputs)[0]
    torch.testing.assert_close(
        loss, soft_kl(predictions, teacher, 2.0) + 0.5 * F.cross_entropy(predictions, labels)
    )


def test_padding_says_nothing(network, some, coder) -> None:
    """A pair has the same logits beside a longer one: the published code attended to padding."""
    model, coded = model_of(network), coder.code(some)
    asked = [(one, place) for one in coded for place in range(len(one.glosses))]
    alone = torch.cat([lexical.pair_logits(model, coder, [one]) for one in asked[:12]])
    torch.testing.assert_close(
        lexical.pair_logits(model, coder, asked)[:12], alone, atol=0.02, rtol=0.02
    )  # maybe bf16


def test_the_score_chosen_by_counts_errors_then_surprise() -> None:
    def one(*right: int) -> Instance:
        keys = tuple(sense.sense_key for sense in wsd.candidates("bank", "verb"))
        return Instance("x", ("bank",), 0, "bank", "verb", tuple(keys[i] for i in right))

    size = len(one(0).candidates)
    flat, sharp = np.zeros(size), np.eye(size)[2] * 3
    of_flat = lexical.held_out_score([flat], [one(0, 1)])
    # The first of equals is right, and half the mass is on right ones.
    assert of_flat == pytest.approx(1 - 1 / (1 + math.log(size / 2)))
    surprise = (math.log(size / 2) + math.log(math.exp(3) + size - 1)) / 2
    assert lexical.held_out_score([flat, sharp], [one(0, 1), one(0)]) == pytest.approx(
        (2 - 1 / (1 + surprise)) / 2
    )
    assert lexical.held_out_score([np.zeros(size)], [one()]) == 1


# ---- training


@pytest.mark.parametrize(("pooling", "marked"), [("cls", True), ("parts", True), ("parts", False)])
def test_pairs_learn_their_training_words_and_are_the_same_when_loaded(
    network, some, pooling: str, marked: bool, tmp_path: Path
) -> None:
    coder = Coder(zoo.tokenizer(network), 48, marked)
    before = lexical.held_out_score(
        lexical.scores(model_of(network), coder, coder.code(some)), some
    )
    history = lexical.fine_tune(
        network,
        some,
        some,
        replace(PLAN, epochs=25, negatives=0, pooling=pooling, marked=marked),
        tmp_path,
    )
    model = LexicalModel.load(tmp_path)
    after = lexical.held_out_score(lexical.scores(model, coder, coder.code(some)), some)
    assert after == pytest.approx(history.best, abs=0.03) and after < min(before, 0.35)
    again = zoo.locate(str(tmp_path))  # a network of the zoo: the encoder, for other tasks
    torch.testing.assert_close(
        zoo.encoder(again).get_input_embeddings().weight,
        model.classifier.get_input_embeddings().weight.cpu(),
    )
    assert zoo.classifier(again, ["a", "b", "c"]).config.num_labels == 3


def test_lmgc_m_trains_both_heads_and_keeps_them(network, some, tmp_path: Path) -> None:
    history = lexical.fine_tune(
        network, some, some[:8], replace(PLAN, mlm=True, mlm_head_steps=3, epochs=2), tmp_path
    )
    model = LexicalModel.load(tmp_path)
    assert model.mlm_head is not None and model.mlm_head.bias.abs().sum() > 0
    assert history.train_loss[1] > math.log(2) + 1  # the pieces' loss is in it
    kept = json.loads((tmp_path / "history.json").read_text())
    assert 1 < kept["mlm_head_loss"] < 5 and 1 < kept["mlm_frequency_loss"] < 5
    assert kept["wsd_gradient"] > 0 and kept["mlm_gradient"] > 0


def test_the_same_seed_gives_the_same_model_and_another_another(
    network, some, tmp_path: Path
) -> None:
    plan = replace(PLAN, mlm=True)
    models = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        lexical.fine_tune(network, some[:12], some[:4], replace(plan, seed=seed), tmp_path / name)
        models.append(LexicalModel.load(tmp_path / name).state_dict())
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert not torch.equal(
        models[0]["classifier.classifier.weight"], models[2]["classifier.classifier.weight"]
    )


def test_a_small_student_learns_its_teachers_answers(network, some, coder, tmp_path: Path) -> None:
    lexical.fine_tune(
        network, some, some, replace(PLAN, epochs=20, negatives=0), tmp_path / "teacher"
    )
    soft = DistillationLoss("kl", 2.0, 0.0, 1.0)
    plan = replace(PLAN, epochs=25, negatives=0, layers=1, loss=soft)
    lexical.fine_tune(network, some, some, plan, tmp_path / "student", tmp_path / "teacher")
    models = [LexicalModel.load(tmp_path / name) for name in ("teacher", "student")]
    assert [len(encoders.stack_of(model.classifier)[2]) for model in models] == [2, 1]
    predictions = [
        np.array([s.argmax() for s in lexical.scores(model, coder, coder.code(some))])
        for model in models
    ]
    assert (predictions[0] == predictions[1]).mean() > 0.75


def test_layers_are_kept_from_first_to_last_and_the_lower_ones_can_stand_still(
    tmp_path: Path,
) -> None:
    deep = zoo.locate(str(tiny.encoder(tmp_path / "deep", layers=6)))
    classifier = zoo.classifier(deep, LABELS)
    before = list(encoders.stack_of(classifier)[2])
    encoders.keep_layers(classifier, encoders.evenly(3, 6))
    assert list(encoders.stack_of(classifier)[2]) == [before[0], before[2], before[5]]
    assert classifier.config.num_hidden_layers == 3
    encoders.freeze(classifier, 1)
    trained = {
        name.removeprefix("bert.").split(".")[0]
        for name, p in classifier.named_parameters()
        if p.requires_grad
    }
    assert trained == {"encoder", "pooler", "classifier"}
    assert all(
        p.requires_grad == (layer is before[5])
        for layer in (before[0], before[2], before[5])
        for p in layer.parameters()
    )
    encoders.freeze(classifier, 0, pooler=False)
    assert {
        name.split(".")[1] for name, p in classifier.named_parameters() if not p.requires_grad
    } == {"pooler"}


# ---- gloss vectors


def test_scores_are_the_cosines_of_mean_states(network, some, coder) -> None:
    model = VectorModel(zoo.encoder(network)).eval()
    coded = coder.code(some[:6], prefix="lemma")
    found = gloss_vectors.scores(model, coder, coded)
    with torch.inference_mode():
        for one, instance, scores in zip(coded, some, found):
            ids = [
                coder.cls,
                *one.left,
                *coder.quote,
                *one.target,
                *coder.quote,
                *one.right,
                coder.sep,
            ]
            start = 1 + len(one.left) + 1
            word = (
                model.encoder(torch.tensor([ids]))
                .last_hidden_state[0, start : start + len(one.target)]
                .mean(0)
            )
            for place, sense in enumerate(instance.candidates):
                text = f"{instance.lemma.replace('_', ' ')} : {sense.definition}"
                gloss = [
                    coder.cls,
                    *coder.tokenizer(text, add_special_tokens=False)["input_ids"][:24],
                    coder.sep,
                ]
                meaning = model.encoder(torch.tensor([gloss])).last_hidden_state[0].mean(0)
                assert scores[place] == pytest.approx(
                    20 * F.cosine_similarity(word, meaning, dim=0).item(), abs=0.3
                )  # maybe bf16


def test_kept_vectors_give_what_training_sees(network, some, coder) -> None:
    model = VectorModel(zoo.encoder(network)).eval()
    coded = coder.code(some[:5], prefix="lemma")
    batch = gloss_vectors.inputs_of(coder, [(one, list(range(len(one.glosses)))) for one in coded])
    right = batch["right"].clone()
    with torch.inference_mode():
        loss = gloss_vectors.candidate_loss(model, batch)
        scored = model(**{name: t for name, t in batch.items() if name != "right"})
    for row, kept in zip(scored, gloss_vectors.scores(model, coder, coded)):
        assert torch.isinf(row[len(kept) :]).all()
        np.testing.assert_allclose(row[: len(kept)], kept, atol=0.3)
    by_hand = -torch.stack([scored[i].softmax(-1)[right[i]].sum().log() for i in range(5)]).mean()
    torch.testing.assert_close(loss, by_hand)


def test_without_quotes_a_sentence_passes_once_for_all_its_words(network, some) -> None:
    model = VectorModel(zoo.encoder(network)).eval()
    coder = Coder(zoo.tokenizer(network), 48, marked=False)
    one = replace(some[0], tokens=tuple("we saw the long road".split()), target=4)
    words = [one, some[1], replace(one, target=1), replace(one, target=3)]
    coded = coder.code(words, prefix="lemma")
    assert coder.tokenizer.decode(coded[0].glosses[0]).startswith(f"{some[0].lemma} : ")
    assert gloss_vectors.by_sentence(coder, coded) == [[0, 2, 3], [1]]
    batch = gloss_vectors.context_inputs(coder, coded)
    assert batch["text"].tolist() == [0, 1, 0, 0] and len(batch["input_ids"]) == 2
    found = gloss_vectors.scores(model, coder, coded)
    with torch.inference_mode():
        for each, scores in zip(coded, found):
            ids = [coder.cls, *each.left, *each.target, *each.right, coder.sep]
            states = model.encoder(torch.tensor([ids])).last_hidden_state[0]
            start = 1 + len(each.left)
            vector = states[start : start + len(each.target)].mean(0)
            for place, gloss in enumerate(each.glosses):
                meaning = torch.tensor([[coder.cls, *gloss[:24], coder.sep]])
                of_gloss = model.encoder(meaning).last_hidden_state[0].mean(0)
                by_hand = 20 * F.cosine_similarity(vector, of_gloss, dim=0).item()
                assert scores[place] == pytest.approx(by_hand, abs=0.3)  # maybe bf16


@pytest.mark.parametrize("word_vector", ["target", "sentence"])
def test_gloss_vectors_learn_their_training_words(
    network, some, coder, word_vector: str, tmp_path: Path
) -> None:
    before = lexical.held_out_score(
        gloss_vectors.scores(
            VectorModel(zoo.encoder(network)).eval(), coder, coder.code(some, prefix="lemma")
        ),
        some,
    )
    history = gloss_vectors.fine_tune(
        network,
        some,
        some,
        replace(PLAN, epochs=15, negatives=0, word_vector=word_vector),
        tmp_path,
    )
    after = lexical.held_out_score(
        gloss_vectors.scores(
            VectorModel.load(tmp_path),
            coder,
            coder.code(some, prefix="lemma"),
            word_vector == "sentence",
        ),
        some,
    )
    assert after == pytest.approx(history.best, abs=0.03) and after < min(before, 0.35)


def test_similarity_pools_whole_sentences(network, some, coder) -> None:
    (scores,) = gloss_vectors.similarity(network, some[:1], 48, "definition")
    encoder, (one,) = zoo.encoder(network).eval(), coder.code(some[:1], prefix="lemma")
    with torch.inference_mode():
        ids = [coder.cls, *one.left, *coder.quote, *one.target, *coder.quote, *one.right, coder.sep]
        sentence = encoder(torch.tensor([ids])).last_hidden_state[0].mean(0)
        gloss = (
            encoder(torch.tensor([[coder.cls, *one.glosses[0][:24], coder.sep]]))
            .last_hidden_state[0]
            .mean(0)
        )
    assert scores[0] == pytest.approx(
        20 * F.cosine_similarity(sentence, gloss, dim=0).item(), abs=0.3
    )
