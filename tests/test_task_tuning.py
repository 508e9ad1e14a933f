"""Fine-tuning on a task: the encoding of pairs, classes and numbers, what is chosen by."""

import dataclasses

import numpy as np
import pytest
import tiny
import torch
from torch.nn import functional as F

from gdlib.compare.scores import SCORES
from gdlib.networks import tuning as task_tuning
from gdlib.networks.sense_coding import Coder
from gdlib.networks.tuning import TuningPlan, encode
from gdlib.sources import zoo
from gdlib.sources.parts import Part
from gdlib.sources.tasks import Task

PLAN = TuningPlan(
    epochs=8, lr=3e-3, batch=8, max_length=24, tuned_layers=0, pooling="parts", seed=0
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> zoo.Network:
    return zoo.locate(str(tiny.encoder(tmp_path_factory.mktemp("tuning") / "encoder")))


def sentences(number: int, seed: int, pairs: bool = False) -> Part:
    """Animals or food; of pairs: the same of both or not."""
    words = [tiny.texts_of(label, number, seed) for label in ("animals", "food")]
    first = [words[i % 2][i] for i in range(number)]
    second = [words[(i // 2) % 2][-i - 1] for i in range(number)] if pairs else []
    labels = [int(i % 2 == (i // 2) % 2) if pairs else i % 2 for i in range(number)]
    return Part(first, labels, second)


def test_a_text_or_pair_in_pieces(network: zoo.Network) -> None:
    tokenizer = zoo.tokenizer(network)
    coder = Coder(tokenizer, 12)
    texts = Part(["the cat", "the cat " * 9], [0, 0], ["a dog", "a big dog"])
    rows = encode(coder, texts)
    assert tokenizer.convert_ids_to_tokens(rows[0][0]) == [
        "[CLS]",
        "the",
        "cat",
        "[SEP]",
        "a",
        "dog",
        "[SEP]",
    ]
    cut = tokenizer.convert_ids_to_tokens(rows[1][0])
    assert (
        len(cut) == 12
        and cut[-4:] == ["a", "big", "dog", "[SEP]"]
        and cut[:3] == ["[CLS]", "the", "cat"]
    )
    inputs = coder.joined_inputs(rows)
    assert inputs["input_ids"].shape == (2, 12) and inputs["attention_mask"].sum(1).tolist() == [
        7,
        12,
    ]
    assert inputs["second"].int().tolist() == [[0] * 4 + [1] * 3 + [0] * 5, [0] * 8 + [1] * 4]
    alone = encode(coder, Part(["the cat", "the cat " * 9], [0, 0]))
    assert [len(ids) for ids, _ in alone] == [4, 12] and alone[0][0] == tokenizer("the cat")[
        "input_ids"
    ]
    assert not coder.joined_inputs(alone)["second"].any()


def test_the_type_ids_are_those_of_a_pretrained_tokenizer_of_pairs(network: zoo.Network) -> None:
    """The coder of a BERT whose tokenizer has type ids and a template for pairs, against that
    tokenizer itself.
    """
    tokenizer = zoo.tokenizer(network)
    coder = Coder(tokenizer, 24)
    coder.has_types = True
    rows = encode(coder, Part(["the cat"], [0], ["a dog"]))
    assert coder.joined_inputs(rows)["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1]]


@pytest.mark.parametrize("pooling", ("cls", "parts"))
def test_classes_are_learnt_and_the_held_out_part_chooses(
    network: zoo.Network, pooling: str
) -> None:
    plan = dataclasses.replace(PLAN, pooling=pooling)
    task = Task(
        "animals", ("animals", "food"), sentences(60, 0), sentences(24, 1), sentences(40, 2)
    )
    model, history = task_tuning.tune(network, task, plan, SCORES["accuracy"].of)
    predictions = task_tuning.answer(model, network, task, plan)
    assert (predictions == task.test.gold).mean() > 0.85
    assert history.best == min(history.held_out) and history.best_step in history.step
    coder = Coder(zoo.tokenizer(network), PLAN.max_length)
    logits = task_tuning.logits(model, coder, encode(coder, task.held_out))
    wrong = float((logits.argmax(-1).numpy() != task.held_out.gold).mean())
    loss = float(F.cross_entropy(logits, torch.tensor(task.held_out.gold)))
    assert history.best == pytest.approx(wrong + loss / 1000, abs=1e-4)
    again, _ = task_tuning.tune(network, task, plan, SCORES["accuracy"].of)
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values())
    )


def test_numbers_are_told_in_their_own_units(network: zoo.Network) -> None:
    def numbers(part: Part) -> Part:
        return Part(part.texts, (100.0 + 3.0 * part.gold).tolist())

    task = Task(
        "weights", (), *map(numbers, (sentences(60, 0), sentences(24, 1), sentences(40, 2)))
    )
    model, _ = task_tuning.tune(network, task, PLAN, SCORES["Pearson"].of)
    predictions = task_tuning.answer(model, network, task, PLAN)
    assert (
        np.corrcoef(predictions, task.test.gold)[0, 1] > 0.7 and 100.5 < predictions.mean() < 102.5
    )
    coder = Coder(zoo.tokenizer(network), PLAN.max_length)
    logits = task_tuning.logits(model, coder, encode(coder, task.held_out))
    gold = torch.tensor((task.held_out.gold - task.train.gold.mean()) / task.train.gold.std())
    correlation = np.corrcoef(logits[:, 0], task.held_out.gold)[0, 1]
    expected = 1 - correlation + float(((logits[:, 0] - gold) ** 2).mean()) / 1000
    assert task_tuning.held_out_score(logits, task, SCORES["Pearson"].of) == pytest.approx(
        expected, abs=1e-6
    )


def test_the_head_reads_the_mean_states_of_both_parts(network: zoo.Network) -> None:
    texts = sentences(6, 0, pairs=True)
    model = task_tuning.TaskModel(
        network, Task("same", ("no", "yes"), texts, texts, texts), "parts"
    ).eval()
    coder = Coder(zoo.tokenizer(network), 40)
    (ids, start), encoder = encode(coder, texts)[0], zoo.encoder(network).eval()
    with torch.no_grad():
        states = encoder(
            input_ids=torch.tensor([ids]),
            token_type_ids=torch.tensor(
                [[int(i >= start) for i in range(len(ids))]]
                if coder.has_types
                else [[0] * len(ids)]
            ),
        ).last_hidden_state[0]
        u, v = states[:start].mean(0), states[start:].mean(0)
        expected = model.head(torch.cat([u, v, (u - v).abs(), u * v]))
    torch.testing.assert_close(
        task_tuning.logits(model, coder, encode(coder, texts))[0], expected, atol=2e-2, rtol=2e-2
    )  # padding does not count


def test_frozen_layers_stay(network: zoo.Network) -> None:
    task = Task("animals", ("animals", "food"), sentences(16, 0), sentences(8, 1), sentences(8, 2))
    model, _ = task_tuning.tune(
        network,
        task,
        dataclasses.replace(PLAN, epochs=1, lr=1e-3, tuned_layers=1, pooling="cls"),
        SCORES["accuracy"].of,
    )
    before = zoo.encoder(network).state_dict()
    moved = {
        name.split(".")[2]
        for name, w in model.classifier.base_model.state_dict().items()
        if name.startswith("encoder.layer") and not torch.equal(w.cpu(), before[name])
    }
    assert moved == {"1"} and torch.equal(
        model.classifier.get_input_embeddings().weight.cpu(),
        before["embeddings.word_embeddings.weight"],
    )
