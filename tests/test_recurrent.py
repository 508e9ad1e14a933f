"""The recurrent student against an LSTM written out in numpy, its size by formula, and that padding
says nothing.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlib.core.errors import UnknownName
from gdlib.learn.batches import pad
from gdlib.networks.names import PROJECTIONS
from gdlib.networks.recurrent import BiLSTM, Projected
from gdlib.networks.students import PAD, parameters


def made(pooling="max", vocabulary=11, classes=3, hidden=4, embedding_dim=5, seed=0):
    torch.manual_seed(seed)
    return BiLSTM(vocabulary, classes, hidden, embedding_dim, 0.5, pooling).eval()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, w, name):
    """The states of an LSTM over ``[length, in]``, gate by gate: input, forget, cell, output."""
    h = c = np.zeros(w[f"{name}.weight_hh_l0"].shape[1])
    states = []
    for row in x:
        gates = (
            w[f"{name}.weight_ih_l0"] @ row
            + w[f"{name}.bias_ih_l0"]
            + w[f"{name}.weight_hh_l0"] @ h
            + w[f"{name}.bias_hh_l0"]
        )
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states)


def states_by_hand(network, pieces):
    w = {name: tensor.numpy().astype(np.float64) for name, tensor in network.state_dict().items()}
    x = w["embedding.weight"][pieces]
    ahead, back = lstm(x, w, "ahead"), lstm(x[::-1], w, "back")[::-1]
    if network.pooling == "last":
        return np.concatenate([ahead[-1], back[0]])
    states = np.concatenate([ahead, back], axis=1)
    return states.max(axis=0) if network.pooling == "max" else states


@pytest.mark.parametrize("pooling", ["last", "max", "none"])
@pytest.mark.parametrize("pieces", [[3], [1, 2], [4, 10, 2, 2, 7, 9, 1]])
def test_forward_by_hand(pooling, pieces):
    network = made(pooling)
    learner = Projected(network, 6, "gelu").eval()
    with torch.no_grad():
        found, (logits, projected) = (
            network(torch.tensor([pieces])),
            learner(torch.tensor([pieces])),
        )
    states = states_by_hand(network, pieces)
    assert np.allclose(
        found[0],
        states @ network.readout.weight.detach().numpy().T + network.readout.bias.detach().numpy(),
        atol=1e-5,
    )
    assert torch.equal(found, logits)
    inner = (
        states @ learner.project.weight.detach().numpy().T + learner.project.bias.detach().numpy()
    )
    gelu = 0.5 * inner * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
    assert np.allclose(projected[0].numpy(), gelu, atol=1e-5)
    linear = Projected(network, 6)
    linear.load_state_dict(learner.state_dict())
    with torch.no_grad():
        assert np.allclose(linear.eval()(torch.tensor([pieces]))[1][0], inner, atol=1e-5)


@pytest.mark.parametrize("projection, reached", [("linear", True), ("gelu", False)])
def test_gelu_cannot_give_the_states_of_a_layer_norm(projection, reached):
    """Half of the states are negative, and GELU gives nothing below -0.17: at its best fit a
    quarter of the variance and more stays.
    """
    torch.manual_seed(0)
    states = torch.randn(400, 8)
    wanted = states @ torch.randn(8, 8) / 8**0.5  # as a linear layer can give it, of both signs
    layer, after = torch.nn.Linear(8, 8), PROJECTIONS[projection]
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200)

    def error():
        return (after(layer(states)) - wanted).square().mean()

    def closure():
        optimizer.zero_grad()
        error().backward()
        return error()

    optimizer.step(closure)
    share = (error() / wanted.var()).item()
    assert share < 1e-3 if reached else share > 0.25


@pytest.mark.parametrize("pooling", ["last", "max", "none"])
@settings(deadline=None, max_examples=25)
@given(
    rows=st.lists(st.lists(st.integers(1, 10), min_size=1, max_size=9), min_size=1, max_size=5),
    more=st.integers(0, 6),
)
def test_padding_changes_nothing(pooling, rows, more):
    network = made(pooling)
    batch = torch.nn.functional.pad(pad(rows, PAD), (0, more))
    with torch.no_grad():
        together = network(batch)
        for row, predictions in zip(rows, together):
            predictions = predictions[: len(row)] if pooling == "none" else predictions
            assert torch.allclose(predictions, network(torch.tensor([row]))[0], atol=1e-5)


@given(
    vocabulary=st.integers(3, 50),
    classes=st.integers(2, 9),
    hidden=st.integers(1, 20),
    embedding_dim=st.integers(1, 20),
)
def test_parameters_by_formula(vocabulary, classes, hidden, embedding_dim):
    network = made("max", vocabulary, classes, hidden, embedding_dim)
    direction = 4 * hidden * (embedding_dim + hidden + 2)
    assert (
        parameters(network)
        == vocabulary * embedding_dim + 2 * direction + (2 * hidden + 1) * classes
    )
    before = parameters(network)
    assert parameters(Projected(network, 7)) == before + (2 * hidden + 1) * 7
    assert parameters(network) == before  # dropped with its module


def test_the_forget_gate_starts_open():
    for lstm in (made().ahead, made().back):
        assert torch.equal(lstm.bias_ih_l0[4:8], torch.ones(4)) and not torch.equal(
            lstm.bias_ih_l0[:4], torch.ones(4)
        )


def test_groups_go_from_the_top_down_and_hold_every_parameter_once():
    learner = Projected(made(), 7)
    groups = learner.groups()
    assert [name for name, _ in groups] == ["readout", "BiLSTM", "embedding"]
    held = [p for _, modules in groups for module in modules for p in module.parameters()]
    assert len(held) == len({id(p) for p in held}) and {id(p) for p in held} == {
        id(p) for p in learner.parameters()
    }
    assert learner.project in groups[0][1]


def test_unknown_pooling():
    with pytest.raises(UnknownName, match='^unknown pooling "mean"; known: last, max, none$'):
        made("mean")
