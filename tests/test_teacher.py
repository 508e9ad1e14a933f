"""The teacher, fine-tuned from a folder on a made corpus."""

import json
from dataclasses import replace

import pytest
import tiny
import torch
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from gdlib.core.errors import BadSetting, UnknownName
from gdlib.core.store import texts_digest
from gdlib.learn import checkpoint
from gdlib.learn.batches import collate
from gdlib.learn.calibration import cool, fit_temperature
from gdlib.networks.students import encode
from gdlib.networks.teacher import Teacher, TeacherPlan, fine_tune, tokenize
from gdlib.sources import corpora, splits, zoo

PLAN = TeacherPlan(epochs=4, lr=2e-3, batch=8, max_length=20, seed=3)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    corpus = corpora.load(str(tiny.corpus(tmp_path_factory.mktemp("corpus"), texts=80)))
    return splits.split(
        corpus, labels_per_class=40, validation_share=0.25, transfer_size=50, test_size=60, seed=0
    )


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return zoo.locate(str(tiny.encoder(tmp_path_factory.mktemp("encoder"))))


@pytest.fixture(scope="module")
def tuned(parts, network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    history = fine_tune(network, parts.train, parts.validation, parts.labels, PLAN, folder)
    return history, folder


def reference(folder, text, layers=()):
    """One text alone through plain transformers, in float32."""
    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(
        text, truncation=True, max_length=20, return_tensors="pt"
    )
    with torch.no_grad():
        out = network(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            output_hidden_states=True,
        )
    return out.logits[0], {layer: out.hidden_states[layer][0, 0] for layer in layers}


def test_it_learns_and_is_better_than_chance(parts, tuned):
    history, folder = tuned
    assert history.best < history.held_out[0]
    found = Teacher.load(folder).signals(parts.test.texts)
    accuracy = (found.predicted == torch.tensor(parts.test.labels)).float().mean().item()
    assert accuracy > 0.5  # chance is a third


def test_states_are_those_at_cls_or_the_mean_over_a_text_s_own_positions(parts, tuned, monkeypatch):
    monkeypatch.setattr("gdlib.core.hardware.has_bf16", lambda: False)
    loaded, texts = (
        Teacher.load(tuned[1]),
        parts.test.texts[:5],
    )  # of several lengths in one batch: padding must not count
    found = [loaded.signals(texts, (0, 2), pooling=pooling) for pooling in ("cls", "mean")]
    for each in found:  # the mean of the last layer is there whatever is asked
        assert torch.equal(each.means, found[1].states[2])
    for layer, first, mean in zip((0, 2), *(each.states.values() for each in found)):
        for row, text in enumerate(texts):
            tokens = loaded.tokenizer(text, truncation=True, max_length=20, return_tensors="pt")
            with torch.no_grad():
                hidden = loaded.network(
                    input_ids=tokens["input_ids"],
                    attention_mask=tokens["attention_mask"],
                    output_hidden_states=True,
                ).hidden_states[layer][0]
            assert torch.allclose(first[row], hidden[0], atol=1e-5) and torch.allclose(
                mean[row], hidden.mean(0), atol=1e-5
            )


def test_a_layer_or_a_pooling_that_is_not_there(tuned):
    loaded = Teacher.load(tuned[1])
    with pytest.raises(
        BadSetting,
        match=r"^teacher_layers = \(1, 3\): the teacher has the layers 0 \(its embeddings\) to 2$",
    ):
        loaded.signals(["a cat"], (1, 3))
    with pytest.raises(UnknownName, match='^unknown teacher_pooling "max"; known: cls, mean$'):
        loaded.signals(["a cat"], (1,), pooling="max")


def test_loaded_back_it_says_what_plain_transformers_says(parts, tuned, monkeypatch):
    monkeypatch.setattr("gdlib.core.hardware.has_bf16", lambda: False)
    loaded = Teacher.load(tuned[1])
    assert loaded.labels == parts.labels and loaded.max_length == 20
    texts = parts.test.texts[:7]
    for text, logits in zip(texts, loaded.signals(texts).logits):
        assert torch.allclose(logits, reference(tuned[1], text)[0], atol=1e-5)


def test_signals_are_in_the_order_of_the_texts_with_their_layers(parts, tuned, monkeypatch):
    monkeypatch.setattr("gdlib.core.hardware.has_bf16", lambda: False)
    loaded = Teacher.load(tuned[1])
    texts = [
        "cat",
        "the song was sung by a choir in the city with a piano and violin",
        "",
        *parts.test.texts[:9],
    ]
    found = loaded.signals(texts, layers=(0, 2), batch=4)
    assert (
        found.logits.shape == (12, 3)
        and set(found.states) == {0, 2}
        and found.states[2].shape == (12, 64)
    )
    assert found.digest == texts_digest(texts)
    for i, text in enumerate(texts):
        logits, states = reference(tuned[1], text, layers=(0, 2))
        assert torch.allclose(found.logits[i], logits, atol=1e-5)
        assert all(
            torch.allclose(found.states[layer][i], states[layer], atol=1e-5) for layer in (0, 2)
        )
    again = loaded.signals(texts[::-1], batch=5)
    assert torch.allclose(again.logits.flip(0), found.logits, atol=1e-5)


def test_the_history_and_the_held_out_loss(parts, tuned, monkeypatch):
    history, folder = tuned
    kept = json.loads((folder / "history.json").read_text())
    assert kept["best_step"] == history.best_step and kept["held_out"] == history.held_out
    assert json.loads((folder / "plan.json").read_text())["seed"] == 3
    logits = Teacher.load(folder).signals(parts.validation.texts).logits
    loss = F.cross_entropy(logits, torch.tensor(parts.validation.labels)).item()
    assert loss == pytest.approx(
        history.best, rel=0.02
    )  # the weights kept are those of the best look


def test_a_teacher_is_as_sure_as_it_is_right_on_held_out_texts(parts, tuned):
    """Its temperature is in its head: the one that suits it best is 1 then."""
    history, folder = tuned
    logits = Teacher.load(folder).signals(parts.validation.texts).logits
    assert fit_temperature(logits, parts.validation.labels) == pytest.approx(1, abs=0.1)
    assert json.loads((folder / "history.json").read_text())["temperature"] > 0


def test_no_texts_have_no_pieces_and_no_signals(tuned):
    teacher = Teacher.load(tuned[1])
    assert tokenize(teacher.tokenizer, [], 8) == [] == encode(teacher.tokenizer, [], 8)
    assert teacher.signals([]).logits.shape == (0, len(teacher.labels))


def test_cooling_divides_the_logits(network, parts):
    classifier = zoo.classifier(network, parts.labels).eval()
    ids = torch.tensor([[2, 5, 6, 3]])
    with torch.no_grad():
        before = classifier(ids).logits
        cool(classifier, 2.5)
        assert torch.allclose(classifier(ids).logits, before / 2.5, atol=1e-6)


def test_few_texts_take_the_least_number_of_steps(parts, network, tmp_path):
    plan = replace(PLAN, epochs=1, least_steps=17)
    history = fine_tune(network, parts.train, parts.validation, parts.labels, plan, tmp_path)
    assert history.step[-1] == 17


def test_the_same_seed_gives_the_same_teacher(parts, network, tuned, tmp_path):
    again = fine_tune(network, parts.train, parts.validation, parts.labels, PLAN, tmp_path)
    assert again == tuned[0]
    assert torch.equal(Teacher.load(tmp_path).embedding, Teacher.load(tuned[1]).embedding)


def test_killed_and_gone_on_with_it_is_the_same_teacher(
    parts, network, tuned, tmp_path, monkeypatch
):
    saves = iter(range(100))
    saving = checkpoint.save

    def save(*args):
        saving(*args)
        if next(saves) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gdlib.learn.checkpoint.save", save)
        with pytest.raises(KeyboardInterrupt):
            fine_tune(network, parts.train, parts.validation, parts.labels, PLAN, tmp_path)
    assert (
        fine_tune(network, parts.train, parts.validation, parts.labels, PLAN, tmp_path) == tuned[0]
    )
    assert torch.equal(Teacher.load(tmp_path).embedding, Teacher.load(tuned[1]).embedding)


def test_embedding_is_the_tuned_one(tuned, network):
    embedding = Teacher.load(tuned[1]).embedding
    assert embedding.shape[1] == 64 and not embedding.requires_grad
    assert not torch.equal(embedding, zoo.encoder(network).get_input_embeddings().weight)


def test_collate_masks_by_length_and_not_by_id():
    out = collate([[5, 0, 7], [0], [4, 4]], pad_id=0)
    assert out["input_ids"].tolist() == [[5, 0, 7], [0, 0, 0], [4, 4, 0]]
    assert out["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
