"""Students against forward passes written out in numpy, parameter counts by formula, and
properties.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlib.core.errors import BadSetting, UnknownName
from gdlib.learn.batches import pad
from gdlib.networks import embeddings, students
from gdlib.networks.names import STUDENTS
from gdlib.networks.students import Vocabulary, build, parameters


def made(name, vocabulary=11, classes=3, channels=4, embedding_dim=5, seed=0):
    torch.manual_seed(seed)
    return STUDENTS[name](vocabulary, classes, channels, embedding_dim, dropout=0.5).eval()


def weights(network):
    return {
        name: tensor.numpy().astype(np.float64) for name, tensor in network.state_dict().items()
    }


def convolve(x, w, prefix):
    """A same-padded convolution written out.

    *Shape:* x [length, in] -> [length, out]; odd widths pad alike on both sides.
    """
    kernel, bias = w[f"{prefix}.weight"], w[f"{prefix}.bias"]  # [out, in, width]
    width = kernel.shape[-1]
    left = (width - 1) // 2
    padded = np.pad(x, ((left, width - 1 - left), (0, 0)))
    return np.array(
        [
            [(padded[i : i + width].T * kernel[o]).sum() + bias[o] for o in range(len(bias))]
            for i in range(len(x))
        ]
    )


def relu(x):
    return np.maximum(x, 0)


def linear(x, w, prefix):
    return w[f"{prefix}.weight"] @ x + w[f"{prefix}.bias"]


def by_hand(name, network, pieces):
    w = weights(network)
    x = w["embedding.weight"][pieces]
    if name == "KimCNN":
        features = np.concatenate(
            [relu(convolve(x, w, f"convolutions.{i}")).max(0) for i in range(3)]
        )
        return linear(features, w, "readout.1")
    if name == "BlendCNN":
        pools = []
        for i in range(3):
            x = relu(convolve(x, w, f"convolutions.{i}"))
            pools.append(x.max(0))
        return linear(relu(linear(np.concatenate(pools), w, "readout.1")), w, "readout.4")
    x = relu(convolve(x, w, "project"))
    for i in range(2):
        inner = relu(convolve(x, w, f"pairs.{i}.0"))
        x = relu(x + convolve(inner, w, f"pairs.{i}.1"))
    return linear(x.max(0), w, "readout.1")


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize("pieces", [[3], [1, 2], [4, 10, 2, 2, 7, 9, 1]])
def test_forward_by_hand(name, pieces):
    network = made(name)
    with torch.no_grad():
        found = network(torch.tensor([pieces]))
    assert found.shape == (1, 3)
    assert np.allclose(found[0].numpy(), by_hand(name, network, pieces), atol=1e-5)


@pytest.mark.parametrize("name", STUDENTS)
@settings(deadline=None, max_examples=25)
@given(
    rows=st.lists(st.lists(st.integers(1, 10), min_size=1, max_size=9), min_size=1, max_size=5),
    more=st.integers(0, 6),
)
def test_padding_changes_nothing(name, rows, more):
    network = made(name)
    batch = torch.nn.functional.pad(pad(rows, students.PAD), (0, more))
    with torch.no_grad():
        together = network(batch)
        alone = torch.cat([network(torch.tensor([row])) for row in rows])
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("texts", [1, 9, 10, 60, 150])
@pytest.mark.parametrize("width", [3, 4])
def test_convolution_and_gradients_as_torchs(texts, width):
    """Of 7 positions per text, so that with 10 texts their number is rounded up."""
    torch.manual_seed(0)
    layer = torch.nn.Conv1d(5, 6, width)
    real = torch.arange(9) < 7 + torch.arange(texts)[:, None] % 3 - 1
    found = (torch.randn(texts, 9, 5) * real[..., None]).requires_grad_()
    expected = found.detach().clone().requires_grad_()
    weights = torch.randn(texts, 9, 6)

    def gradients(out, hidden):
        wanted = [hidden, layer.weight, layer.bias]
        return torch.autograd.grad((out * weights * real[..., None]).sum(), wanted)

    ours = students.convolve(layer, found, real)
    around = torch.nn.functional.pad(expected.transpose(1, 2), ((width - 1) // 2, width // 2))
    theirs = layer(around).transpose(1, 2)
    assert (ours[~real] == 0).all()
    assert torch.allclose(ours[real], theirs[real], atol=1e-5)
    for own, torchs in zip(gradients(ours, found), gradients(theirs, expected)):
        assert torch.allclose(own, torchs, atol=1e-4)


def count(name, vocabulary, classes, c, e):
    """Weights and biases, layer by layer."""
    embedding = vocabulary * e
    if name == "KimCNN":
        return embedding + sum(c * e * width + c for width in (3, 4, 5)) + 3 * c * classes + classes
    if name == "BlendCNN":
        return (
            embedding
            + (c * e * 5 + c)
            + 2 * (c * c * 5 + c)
            + (3 * c * c + c)
            + c * classes
            + classes
        )
    return embedding + (c * e * 3 + c) + 4 * (c * c * 3 + c) + c * classes + classes


@pytest.mark.parametrize("name", STUDENTS)
def test_parameter_count_by_formula(name):
    assert parameters(made(name)) == count(name, 11, 3, 4, 5)
    assert parameters(made(name, 50, 7, 16, 8)) == count(name, 50, 7, 16, 8)


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize("budget", [360_000, 1_100_000])
@pytest.mark.parametrize("classes", [2, 14])
def test_build_uses_its_budget(name, budget, classes):
    network = build(
        name,
        vocabulary=budget // 2 // 64,
        classes=classes,
        budget=budget,
        embedding_dim=64,
        dropout=0.3,
    )
    channels = (network.project if name == "ResCNN" else network.convolutions[0]).out_channels
    assert 0.95 * budget < parameters(network) <= budget
    step = 8 if channels >= 64 else 1
    assert (
        count(name, budget // 2 // 64, classes, channels + step, 64) > budget
    )  # the next width is too wide


def test_build_errors():
    with pytest.raises(
        UnknownName, match='^unknown student "LSTM"; known: BlendCNN, KimCNN, ResCNN$'
    ):
        build("LSTM", 10, 2, 1000, 4, 0.0)
    least = count("KimCNN", 1000, 2, 1, 64)
    with pytest.raises(
        BadSetting,
        match=rf"^KimCNN: {least:,} parameters at the least with 1,000 pieces x 64; budget 60,000$",
    ):
        build("KimCNN", 1000, 2, 60_000, 64, 0.0)


def test_the_padding_row_stays_zero_in_training():
    network = made("BlendCNN").train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    for _ in range(3):
        network(torch.tensor([[3, 4, 0], [5, 0, 0]])).sum().backward()
        optimizer.step()
    assert not network.embedding.weight[students.PAD].any()


# vocabulary


def test_vocabulary_has_the_most_frequent_pieces_first():
    vocabulary = Vocabulary.seen([[7, 7, 9, 0], [7, 5, 9, 8, 100]], pad=0, unknown=100, at_most=10)
    assert vocabulary.teacher_ids == (0, 100, 7, 9, 5, 8)  # 7 three times, 9 twice; then by id
    assert len(vocabulary) == 6
    assert Vocabulary.seen([[7, 7, 9, 0], [7, 5, 9, 8, 100]], 0, 100, at_most=4).teacher_ids == (
        0,
        100,
        7,
        9,
    )
    assert Vocabulary.seen([[7]], 0, 100, at_most=1).teacher_ids == (0, 100)


def test_rows_of_unknown_pieces_and_of_an_empty_text():
    vocabulary = Vocabulary((0, 100, 7, 9))
    assert vocabulary.rows([[9, 7, 3], [100], []]) == [
        [3, 2, students.UNKNOWN],
        [students.UNKNOWN],
        [students.UNKNOWN],
    ]


@given(
    rows=st.lists(st.lists(st.integers(1, 40), max_size=8), max_size=8), at_most=st.integers(2, 20)
)
def test_vocabulary_round_trip(rows, at_most):
    vocabulary = Vocabulary.seen(rows, pad=0, unknown=99, at_most=at_most)
    assert len(vocabulary) <= at_most and len(set(vocabulary.teacher_ids)) == len(vocabulary)
    for row, ids in zip(vocabulary.rows(rows), rows):
        assert len(row) == max(1, len(ids)) and students.PAD not in row
        for place, piece in zip(row, ids):
            assert place == students.UNKNOWN or vocabulary.teacher_ids[place] == piece


# embeddings from the teacher


def test_reduced_vectors_against_numpy():
    matrix = np.random.default_rng(0).normal(size=(60, 12)) * np.linspace(3, 0.2, 12) + 5.0
    found = embeddings.reduced(torch.from_numpy(matrix), 4).numpy()
    centred = matrix - matrix.mean(0)
    expected = centred @ np.linalg.svd(centred)[2][:4].T
    expected *= np.sign((found * expected).sum(0))  # a singular vector's sign is arbitrary
    expected *= 0.3 / expected.std(ddof=1)
    expected[0] = 0
    assert found.shape == (60, 4) and np.allclose(found, expected, atol=1e-4)
    assert not found[0].any()


def test_all_dimensions_keep_distances():
    """Projecting on all singular vectors is a rotation: distances between pieces are those of the
    teacher, scaled.
    """
    matrix = torch.randn(20, 6)
    rows = embeddings.reduced(matrix, 6)[1:]
    before, after = torch.pdist(matrix[1:]), torch.pdist(rows)
    assert torch.allclose(after, before * after.sum() / before.sum(), atol=1e-4)


def test_more_dimensions_than_the_teacher_has():
    with pytest.raises(
        BadSetting, match="^embedding_dim = 7: the teacher's embedding has only 6 dimensions$"
    ):
        embeddings.reduced(torch.randn(20, 6), 7)
