"""Costs: operations counted by hand, sizes, and a table of times whose ratios fit together."""

import time

import pytest
import tiny
import torch
from torch import nn

from gdlib.networks import costs, students
from gdlib.networks.names import STUDENTS
from gdlib.networks.recurrent import BiLSTM
from gdlib.networks.students import Vocabulary
from gdlib.networks.teacher import Teacher
from gdlib.sources import zoo


def test_operations_of_a_linear_layer_and_a_convolution():
    linear, convolution = nn.Linear(7, 5), nn.Conv1d(4, 6, 3, padding="same")
    assert costs.operations(linear, [torch.zeros(2, 7)]) == 2 * 2 * 7 * 5
    assert costs.operations(convolution, [torch.zeros(1, 4, 10)]) == 2 * 10 * 4 * 6 * 3
    assert (
        costs.operations(convolution, [torch.zeros(1, 4, 10), torch.zeros(1, 4, 30)])
        == 2 * 20 * 4 * 6 * 3
    )  # the mean


@pytest.mark.parametrize("name", STUDENTS)
def test_operations_of_a_student_by_hand(name):
    network, length, e, c = STUDENTS[name](50, 3, 4, 8, 0.0).eval(), 11, 8, 4
    kernels = {
        "KimCNN": e * (3 + 4 + 5) * c,
        "BlendCNN": 5 * (e * c + 2 * c * c),
        "ResCNN": 3 * (e * c + 4 * c * c),
    }
    readout = {"KimCNN": 12 * 3, "BlendCNN": 12 * 4 + 4 * 3, "ResCNN": 4 * 3}
    found = costs.operations(network, [torch.ones(1, length, dtype=torch.long)])
    assert found == 2 * (length * kernels[name] + readout[name])


def test_operations_of_an_lstm_are_counted():
    """Two directions of four gates, each a product with the input and one with the state; then the
    readout.
    """
    network, length, e, h, classes = BiLSTM(50, 3, 4, 5).eval(), 6, 5, 4, 3
    found = costs.operations(network, [torch.ones(1, length, dtype=torch.long)])
    assert found == 2 * (2 * length * 4 * h * (e + h) + 2 * h * classes)


def test_operations_of_attention_are_counted():
    """One layer of a tiny BERT by hand: four projections, scores and their products, and the two
    layers of the MLP.
    """
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    network, n, d = BertModel(config, add_pooling_layer=False).eval(), 6, 8
    expected = 2 * (4 * n * d * d + 2 * n * n * d + 2 * n * d * 16)
    assert (
        costs.operations(lambda x: network(input_ids=x), [torch.ones(1, n, dtype=torch.long)])
        == expected
    )


def test_costs(tmp_path):
    torch.manual_seed(0)
    network = zoo.locate(str(tiny.encoder(tmp_path)))
    teacher = Teacher(zoo.classifier(network, ("animals", "music")), zoo.tokenizer(network), 16)
    texts = [text for label in ("animals", "music") for text in tiny.texts_of(label, 35, 0)]
    vocabulary = Vocabulary.seen(students.encode(teacher.tokenizer, texts, 16), 0, 1, 100)
    student = students.build("BlendCNN", len(vocabulary), 2, 8000, 16, 0.1).half().float()
    sizes, times = costs.costs(teacher, vocabulary, {"BlendCNN": student}, texts, repeats=1)
    assert sizes["name"].tolist() == ["teacher", "BlendCNN"]
    parameters = [sum(p.numel() for p in n.parameters()) for n in (teacher.network, student)]
    assert sizes["parameters"].tolist() == parameters and sizes["bytes"].tolist() == [
        4 * p for p in parameters
    ]
    assert sizes["megaflops"].iloc[0] > sizes["megaflops"].iloc[1] > 0
    assert times[["name", "batch"]].values.tolist() == [
        ["teacher", 1],
        ["teacher", 32],
        ["BlendCNN", 1],
        ["BlendCNN", 32],
    ]
    assert (times["p95"] >= times["p50"]).all() and (times["p50"] > 0).all()
    assert times["ms a text"].tolist() == (times["p50"] / times["batch"]).tolist()
    assert times["times faster"].tolist()[:2] == [1.0, 1.0]
    assert times["times faster"].tolist()[2:] == pytest.approx(
        (times["p50"].values[:2] / times["p50"].values[2:]).tolist()
    )
    again, _ = costs.costs(teacher, vocabulary, {"BlendCNN": student}, texts, repeats=1)
    assert again.equals(sizes)  # the sizes can stand in what must be byte-identical
    fixed, _ = costs.costs(teacher, vocabulary, {"BlendCNN": student}, texts, repeats=1, length=9)
    nine = costs.operations(student, [torch.ones(1, 9, dtype=torch.long)]) / 1e6
    assert fixed["megaflops"].iloc[1] == pytest.approx(nine)


def test_latency_counts_calls_after_warming_up_and_puts_the_threads_back():
    before, calls = torch.get_num_threads(), []
    found = costs.latency(
        lambda one: (calls.append((one, torch.get_num_threads())), time.sleep(0.002)),
        [1, 2],
        repeats=3,
        warmup=4,
    )
    assert len(calls) == 4 + 6
    assert {threads for _, threads in calls} == {1}
    assert 2 <= found.p50 <= found.p95
    assert torch.get_num_threads() == before


def test_latency_needs_an_input():
    with pytest.raises(ValueError, match="latency needs at least one input"):
        costs.latency(lambda one: one, [])


def test_few_texts_are_timed_in_full_batches_too() -> None:
    asked: list[list[int]] = []
    found = costs.by_batch(asked.append, list, 20, repeats=1, warmup=0)
    assert [batch for batch, _ in found] == [1, 32]
    assert asked[-1] == [*range(20), *range(12)]


def test_full_batches_of_texts_are_timed() -> None:
    seen: list[list[int]] = []
    found = costs.by_batch(seen.append, lambda rows: rows, 70, repeats=1, warmup=0)
    assert [batch for batch, _ in found] == [1, 32]
    assert seen == [[i] for i in range(70)] + [[*range(32)], [*range(32, 64)]]
