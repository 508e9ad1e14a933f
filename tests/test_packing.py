"""Weights in blocks: the same answers, and layers that are left as they were."""

import pytest
import torch
from torch import nn

from gdlib.core import hardware
from gdlib.learn import batches
from gdlib.learn.batches import PACKED_ABOVE, ask, pad
from gdlib.learn.packing import cast_once, pack, packed, product, round_number, unpack
from gdlib.networks.lexical_models import PartsHead

here = pytest.mark.skipif(
    not hardware.has_bf16() or torch.cuda.is_available(),
    reason="this processor does not multiply bf16 itself, so nothing is packed",
)


class Reader(nn.Module):
    """The mean of a text's embeddings through two linear layers, one without a bias."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(50, 32)
        self.layers = nn.Sequential(nn.Linear(32, 96), nn.Tanh(), nn.Linear(96, 5, bias=False))

    def forward(self, ids):
        return self.layers(self.embedding(ids).mean(1))


@here
def test_packed_layers_answer_as_under_autocast_and_are_put_back():
    network, ids = Reader(), torch.randint(50, (40, 7))
    with torch.inference_mode():
        before = network(ids)
        with torch.autocast("cpu", torch.bfloat16):
            expected = network(ids)
            with packed(network):
                found = network(ids)
        assert found.dtype == torch.bfloat16
        assert torch.allclose(found.float(), expected.float(), atol=2**-7)
        assert torch.equal(network(ids), before)  # in float32 again


@here
def test_packed_weights_are_those_of_that_moment():
    network, ids = Reader(), torch.randint(50, (4, 7))
    with torch.inference_mode():
        layers = []
        with torch.autocast("cpu", torch.bfloat16):
            pack(network, layers)
            packed_then = network(ids)
            network.layers[2].weight.zero_()
            assert torch.equal(network(ids), packed_then)
            unpack(layers)
            assert not network(ids).any()


def test_what_multiplies_in_float32_is_not_packed():
    network, ids = Reader(), torch.randint(50, (4, 7))
    with torch.inference_mode(), packed(network):
        assert network(ids).dtype == torch.float32


@here
@pytest.mark.parametrize("precision, many, expected", [
    ("auto", True, 1), ("auto", False, 0), ("fp32", True, 0),
])  # fmt: skip
def test_weights_are_packed_for_many_passes_alone(monkeypatch, precision, many, expected):
    asked, whole = [], batches.packed
    monkeypatch.setattr(batches, "packed", lambda network: asked.append(network) or whole(network))
    rows = [[1 + i % 40] * (1 + i % 6) for i in range(2 * PACKED_ABOVE + many)]
    network = Reader()
    found = ask(network, rows, lambda some: {"ids": pad(some, 0)}, batch=2, precision=precision)
    assert asked == [network] * expected
    alone = [
        ask(network, [row], lambda some: {"ids": pad(some, 0)}, precision=precision) for row in rows
    ]
    # a shorter row of a batch has other means, so those of full length are compared
    longest = [i for i, row in enumerate(rows) if len(row) == 6]
    assert longest
    assert torch.allclose(found[longest], torch.cat(alone)[longest], atol=2**-7)


@here
def test_a_layer_that_is_kept_in_float32_is_not_rounded():
    """The head of gloss pairs switches autocast off, and so does what is not autocast at all."""
    torch.manual_seed(0)
    head, states = PartsHead(32), torch.randn(50, 3, 32)
    first, second = torch.tensor([[[True, True, False]], [[False, False, True]]]).expand(2, 50, 3)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = head(states, first, second)
        with packed(head):
            assert torch.equal(head(states, first, second), expected)
    layer, inputs = nn.Linear(4, 2), torch.randn(3, 4)
    with torch.inference_mode(), packed(layer):
        assert torch.equal(layer(inputs), nn.functional.linear(inputs, layer.weight, layer.bias))
        assert layer(inputs.bfloat16()).dtype == torch.bfloat16


@here
def test_packed_inside_packed_and_left_by_an_error_are_put_back():
    network = Reader()
    with packed(network):
        with packed(network):
            pass
        assert "forward" in vars(network.layers[0])
    assert "forward" not in vars(network.layers[0])
    with pytest.raises(KeyboardInterrupt), packed(network):
        raise KeyboardInterrupt
    assert "forward" not in vars(network.layers[0])
    network.layers[2] = nn.Linear(2, 2).double()
    network.layers[2].weight = None  # so that the second layer cannot be packed
    with pytest.raises(AttributeError), packed(network):
        raise AssertionError("it was packed")
    assert "forward" not in vars(network.layers[0])


@here
def test_a_packed_answer_has_no_gradient():
    layer, layers = nn.Linear(4, 2), []
    pack(layer, layers)
    assert layer.forward.func is product
    with torch.autocast("cpu", torch.bfloat16):
        assert not layer(torch.randn(3, 4, requires_grad=True)).requires_grad


@here
def test_what_does_not_learn_is_cast_once_and_put_back():
    """The same losses and gradients, bit for bit, as where autocast casts at each step."""
    network, ids = Reader(), torch.randint(50, (40, 7))
    network.layers[0].requires_grad_(False)
    network.tied = nn.Linear(32, 50, bias=False).requires_grad_(False)
    network.tied.weight = network.embedding.weight.requires_grad_(False)
    whole = network.layers[0].weight.detach().clone()

    def loss_and_gradient():
        with torch.autocast("cpu", torch.bfloat16):
            loss = network(ids).float().logsumexp(-1).mean()
        return loss, *torch.autograd.grad(loss, network.layers[2].weight)

    expected = loss_and_gradient()
    with cast_once(network):
        assert network.layers[0].weight.dtype == torch.bfloat16
        assert network.layers[2].weight.dtype == network.tied.weight.dtype == torch.float32
        found = loss_and_gradient()
    assert all(map(torch.equal, found, expected))
    assert torch.equal(network.layers[0].weight, whole)


def test_round_numbers_are_32_between_powers_of_two_and_hardly_larger():
    for low in (64, 512, 4096):
        assert len({round_number(n) for n in range(low, 2 * low)} - {2 * low}) == 32
    assert [round_number(n) for n in (0, 1, 14, 63, 64, 65, 900)] == [0, 1, 14, 63, 64, 66, 912]
    assert all(n <= round_number(n) <= n * 33 / 32 for n in range(1, 5000))
