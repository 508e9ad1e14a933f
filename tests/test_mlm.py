"""Masked texts, teachers and students on tiny encoders, against forwards by hand."""

import dataclasses
import json

import numpy as np
import pytest
import tiny
import torch
from torch.nn import functional as F
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, BertModel

from gdlib.core.errors import BadCorpus
from gdlib.learn.losses import DistillationLoss
from gdlib.learn.mixtures import Mixture
from gdlib.learn.predictions import TopPieces, top_pieces
from gdlib.networks import mlm_heads, mlm_students, mlm_teachers
from gdlib.networks.masked_lm import NOT_HIDDEN
from gdlib.networks.mlm_heads import HeadPlan, Phase
from gdlib.networks.mlm_students import StudentPlan
from gdlib.networks.mlm_teachers import MaskedLM, MaskedTeacher
from gdlib.networks.mlm_texts import NOWHERE, MaskedTexts, frequent, mask_texts
from gdlib.sources import zoo

HEAD = HeadPlan(head=Phase(150, 5e-3, 64), body=Phase(0, 0.0, 0), seed=0)
PLAN = StudentPlan(
    start="teacher",
    layers=1,
    hidden=32,
    steps=30,
    lr=2e-3,
    batch=16,
    decay="linear",
    evaluate_every=10,
    loss=DistillationLoss(hard_weight=0.5, soft_weight=0.5),
    seed=0,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


def raw(number, seed):
    return [text for label in tiny.CLASSES for text in tiny.texts_of(label, number, seed)]


@pytest.fixture(scope="module")
def guessed(tokenizer):
    return frequent(tokenizer, raw(150, 0), 32, 200)


@pytest.fixture(scope="module")
def parts(tokenizer, guessed):
    sizes = {"train": 150, "choose": 10, "held_out": 12}
    return {
        name: mask_texts(tokenizer, raw(number, seed), 32, 0.3, seed, guessed.ids)
        for seed, (name, number) in enumerate(sizes.items())
    }


def identity(tokenizer):
    return torch.arange(len(tokenizer))


# masked texts


def test_a_batch_by_hand():
    texts = MaskedTexts(
        [[2, 7, 4, 3], [2, 4, 4, 4, 3], [2, 9, 4, 3]],
        [
            [NOT_HIDDEN] * 2 + [8, NOT_HIDDEN],
            [NOT_HIDDEN, 5, 6, 7, NOT_HIDDEN],
            [NOT_HIDDEN, 9, 10, NOT_HIDDEN],
        ],
    )
    assert texts.gold.tolist() == [8, 5, 6, 7, 9, 10] and texts.text_of.tolist() == [
        0,
        1,
        1,
        1,
        2,
        2,
    ]
    batch = texts.batch([2, 1], pad_id=0)
    assert batch["input_ids"].tolist() == [[2, 9, 4, 3, 0], [2, 4, 4, 4, 3]]
    assert batch["attention_mask"].tolist() == [
        [1, 1, 1, 1, 0],
        [1] * 5,
    ]  # a hidden piece is attended to, padding is not
    assert batch["positions"].tolist() == [
        [NOWHERE, 4, 5, NOWHERE, NOWHERE],
        [NOWHERE, 1, 2, 3, NOWHERE],
    ]


def test_guessed_pieces_by_hand(tokenizer):
    texts = ["cat cat dog", "cat dog rain"]
    (cat,), (dog,), (rain,) = tokenizer(["cat", "dog", "rain"], add_special_tokens=False)[
        "input_ids"
    ]
    two = frequent(tokenizer, texts, 16, 2)
    assert two.ids.tolist() == sorted([cat, dog]) and two.share == pytest.approx(5 / 6)
    torch.testing.assert_close(
        two.log_shares.exp(), torch.tensor([3.1, 2.1] if cat < dog else [2.1, 3.1]) / 5.2
    )
    everything = frequent(tokenizer, texts, 16, 0)
    assert (
        len(everything) == len(tokenizer) - len(tokenizer.all_special_ids) and everything.share == 1
    )
    assert not set(everything.ids.tolist()) & set(tokenizer.all_special_ids)
    masked = mask_texts(tokenizer, texts, 16, 1.0, 0, two.ids)
    assert two.ids[masked.gold].tolist() == [cat, cat, dog, cat, dog]  # rain is read, not asked for
    assert masked.inputs[1][3] == rain


def test_masked_texts_of_a_tokenizer(tokenizer):
    texts = ["the cat and a dog", "rain", "snow " * 50]
    every = frequent(tokenizer, texts, 16, 0).ids
    found = mask_texts(tokenizer, texts, 16, 1.0, 3, every)
    assert [len(row) for row in found.inputs] == [7, 3, 16]
    whole = [
        [every[target].item() if target != NOT_HIDDEN else piece for piece, target in zip(*rows)]
        for rows in zip(found.inputs, found.targets)
    ]
    assert whole == tokenizer(texts, truncation=True, max_length=16)["input_ids"]
    assert all(row[0] == row[-1] == NOT_HIDDEN for row in found.targets)  # special pieces stay
    assert (
        mask_texts(tokenizer, texts, 16, 1.0, 3, every).digest
        == found.digest
        != mask_texts(tokenizer, texts, 16, 1.0, 4, every).digest
    )
    twice = mask_texts(tokenizer, texts, 16, 0.9, 3, every, maskings=2)
    assert len(twice) == 6 and twice.inputs[:3] != twice.inputs[3:]
    with pytest.raises(
        BadCorpus,
        match=(
            r"^of 1 texts no piece is masked at mask_share = 1e-09; expected more or longer "
            r"texts$"
        ),
    ):
        mask_texts(tokenizer, ["rain"], 16, 1e-9, 0, every)


# teachers


def new_teacher(folder, tokenizer, guessed, **more):
    return mlm_teachers.load_teacher(
        zoo.locate(str(folder)), identity(tokenizer), 0, guessed, **more
    )


def test_a_head_is_trained_on_a_frozen_body_and_beats_frequencies(
    folder, tokenizer, guessed, parts, tmp_path
):
    network = zoo.locate(str(folder))
    assert not zoo.has_masked_head(network)
    looks = mlm_heads.train_head(
        new_teacher(folder, tokenizer, guessed), parts["train"], parts["choose"], HEAD, tmp_path
    )
    assert looks["step"].tolist() == [30, 60, 90, 120, 150]
    frequency = -guessed.log_shares[parts["choose"].gold].mean().item()
    assert looks["held_out"].min() < frequency - 0.05
    teacher = new_teacher(folder, tokenizer, guessed, trained=tmp_path)
    kept = teacher.keep(parts["choose"], 5)
    assert -kept.gold.mean().item() == pytest.approx(looks["held_out"].min(), abs=0.02)
    before = zoo.encoder(network).state_dict()
    assert all(
        torch.equal(tensor, before[name])
        for name, tensor in teacher.model.encoder.state_dict().items()
    )
    # By hand: one text alone, through the encoder and the head.
    row = 3
    ids, targets = (
        torch.tensor([parts["choose"].inputs[row]]),
        torch.tensor(parts["choose"].targets[row]),
    )
    with torch.no_grad():
        states = teacher.model.encoder.eval()(input_ids=ids).last_hidden_state[
            0, targets != NOT_HIDDEN
        ]
        head, embedding = teacher.model.head, teacher.model.encoder.get_input_embeddings().weight
        predicted = (
            head.norm(F.gelu(head.dense(states))) @ embedding[guessed.ids].T + head.bias
        ).log_softmax(-1)
    at = (parts["choose"].text_of == row).nonzero()[:, 0]
    torch.testing.assert_close(
        kept.gold[at],
        predicted.gather(1, targets[targets != NOT_HIDDEN, None])[:, 0],
        atol=0.03,
        rtol=0.02,
    )
    assert kept.pieces[at, 0].tolist() == predicted.argmax(-1).tolist()


def test_layers_are_trained_after_the_head(folder, tokenizer, guessed, parts, tmp_path):
    plan = dataclasses.replace(HEAD, body=Phase(12, 1e-3, 16))
    looks = mlm_heads.train_head(
        new_teacher(folder, tokenizer, guessed), parts["train"], parts["choose"], plan, tmp_path
    )
    assert looks["step"].tolist() == [*range(30, 151, 30), *range(152, 163, 2)]
    trained = new_teacher(folder, tokenizer, guessed, trained=tmp_path).model.encoder.state_dict()
    before = zoo.encoder(zoo.locate(str(folder))).state_dict()
    moved = [name for name in before if not torch.equal(trained[name], before[name])]
    assert any("layer.0" in name for name in moved) and not any(
        "word_embeddings" in name for name in moved
    )


def test_ids_of_another_vocabulary_are_looked_up(folder, tokenizer, guessed, parts):
    """The same encoder with its embedding's rows permuted says the same, if its ids are given."""
    order = torch.randperm(
        len(tokenizer), generator=torch.Generator().manual_seed(0)
    )  # reference id to its id
    torch.manual_seed(0)
    teacher = new_teacher(folder, tokenizer, guessed)
    encoder = zoo.encoder(zoo.locate(str(folder)))
    with torch.no_grad():
        encoder.get_input_embeddings().weight[order] = (
            teacher.model.encoder.get_input_embeddings().weight.clone()
        )
    encoder.embeddings.word_embeddings.padding_idx = None
    model = MaskedLM(encoder, order[guessed.ids], guessed.log_shares)
    model.head.load_state_dict(teacher.model.head.state_dict())
    other = MaskedTeacher("other", model.eval(), order, 0)
    a, b = teacher.keep(parts["choose"], 8), other.keep(parts["choose"], 8)
    torch.testing.assert_close(a.gold, b.gold, atol=0.02, rtol=0.02)
    torch.testing.assert_close(
        a.dense(torch.arange(5)).exp(), b.dense(torch.arange(5)).exp(), atol=5e-3, rtol=0.05
    )


def test_a_network_that_brings_its_head(folder, tokenizer, guessed, parts, tmp_path):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    theirs = BertForMaskedLM(config).eval()
    theirs.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert zoo.has_masked_head(zoo.locate(str(tmp_path)))
    kept = new_teacher(tmp_path, tokenizer, guessed).keep(parts["choose"], 400)
    ids, targets = (
        torch.tensor([parts["choose"].inputs[0]]),
        torch.tensor(parts["choose"].targets[0]),
    )
    with torch.no_grad():
        predicted = (
            theirs(input_ids=ids).logits[0, targets != NOT_HIDDEN][:, guessed.ids].log_softmax(-1)
        )
    torch.testing.assert_close(
        kept.dense((parts["choose"].text_of == 0).nonzero()[:, 0]), predicted, atol=0.03, rtol=0.02
    )
    lowest = new_teacher(
        tmp_path, tokenizer, guessed, layers=1
    ).model  # of such a one, too, students take layers under a new head
    assert lowest.encoder.config.num_hidden_layers == 1
    torch.testing.assert_close(
        lowest.encoder.get_input_embeddings().weight, theirs.bert.get_input_embeddings().weight
    )
    theirs.bert.save_pretrained(tmp_path / "bare")
    settings = json.loads((tmp_path / "config.json").read_text())
    assert settings["architectures"] == ["BertForMaskedLM"]
    (tmp_path / "bare" / "config.json").write_text(
        json.dumps(settings)
    )  # names a head that the weights lack, as mpnet-base does
    assert not zoo.has_masked_head(zoo.locate(str(tmp_path / "bare")))


# students


def begin(folder, tokenizer, guessed, plan=PLAN):
    torch.manual_seed(5)
    return mlm_students.new_student(
        plan,
        new_teacher(folder, tokenizer, guessed, layers=plan.layers).model,
        guessed,
        tokenizer,
        32,
    )


def test_students_at_their_start(folder, tokenizer, guessed):
    whole = new_teacher(folder, tokenizer, guessed).model.state_dict()
    student = begin(folder, tokenizer, guessed)
    for name, tensor in student.state_dict().items():
        assert torch.equal(tensor, whole[name]) or name.startswith("head.dense"), (
            name
        )  # one layer: the lowest
    assert not any("layer.1." in name for name in student.state_dict())
    fixed = [name for name, p in student.named_parameters() if not p.requires_grad]
    assert [name for name in fixed if "pooler" not in name] == [
        "encoder.embeddings.word_embeddings.weight"
    ]
    scratch = dataclasses.replace(PLAN, start="scratch", layers=2, seed=1)
    one, same, other = (
        mlm_students.new_student(p, None, guessed, tokenizer, 32)
        for p in (scratch, scratch, dataclasses.replace(scratch, seed=2))
    )
    assert isinstance(one.encoder, BertModel) and one.encoder.config.hidden_size == 32
    a, b, c = (m.encoder.get_input_embeddings().weight for m in (one, same, other))
    assert torch.equal(a, b) and not torch.equal(a, c) and a.requires_grad


def oracle(texts, vocabulary):
    """A teacher that is nearly right everywhere."""
    logits = 6.0 * F.one_hot(texts.gold, vocabulary).float()
    kept = TopPieces(
        **top_pieces(logits, texts.gold, 4), vocabulary=vocabulary, digest=texts.digest
    )
    return Mixture((kept,), torch.ones(1, len(texts.gold)))


def test_a_student_learns_and_its_curve_is_what_it_says(folder, tokenizer, guessed, parts):
    def trained(taught, loss=PLAN.loss):
        student = begin(folder, tokenizer, guessed)
        curve, history = mlm_students.train_student(
            student,
            parts["train"],
            taught,
            parts["held_out"],
            0,
            dataclasses.replace(PLAN, loss=loss),
        )
        return student, curve, history

    student, curve, history = trained(None)
    assert curve.step == [0, 10, 20, 30] and [*history.step] == [10, 20, 30]
    per_piece = [losses.sum() / len(parts["held_out"].gold) for losses in curve.losses]
    np.testing.assert_allclose(per_piece[1:], history.held_out, rtol=1e-5)
    assert per_piece[-1] < per_piece[0] - 0.2
    assert curve.seconds[0] == 0 and all(np.diff(curve.seconds) > 0)
    np.testing.assert_allclose(
        mlm_students.text_losses(student, parts["held_out"], 0).sum() / len(parts["held_out"].gold),
        history.best,
        atol=0.02,
    )
    _, again, _ = trained(None)
    np.testing.assert_array_equal(curve.losses[-1], again.losses[-1])
    # The soft part alone, from a teacher that knows the answer, teaches as well; from one that says
    # nothing it does not.
    soft = DistillationLoss(hard_weight=0.0, soft_weight=1.0)
    _, taught, _ = trained(oracle(parts["train"], len(guessed)), soft)
    assert taught.losses[-1].sum() < taught.losses[0].sum() - 0.2 * len(parts["held_out"].gold)
    assert not np.array_equal(taught.losses[-1], curve.losses[-1])
    flat = TopPieces(
        **top_pieces(torch.zeros(len(parts["train"].gold), len(guessed)), parts["train"].gold, 4),
        vocabulary=len(guessed),
        digest="",
    )
    _, nothing, _ = trained(Mixture((flat,), torch.ones(1, len(parts["train"].gold))), soft)
    assert nothing.losses[-1].mean() > taught.losses[-1].mean() + 0.15


def test_losses_of_texts_by_hand(folder, tokenizer, guessed, parts):
    student = begin(folder, tokenizer, guessed).eval()
    found = mlm_students.text_losses(student, parts["choose"], 0)
    assert len(found) == len(parts["choose"])
    for row in (0, 7):
        batch = parts["choose"].batch([row], 0)
        with torch.no_grad():
            gold = parts["choose"].gold[batch["positions"][batch["positions"] != NOWHERE]]
            assert found[row] == pytest.approx(
                F.cross_entropy(student(**batch), gold, reduction="sum").item(), rel=0.02
            )
