"""SetFit's recipe: its pairs, its loss by hand, and what it does to an encoder."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from gdlib.learn.batches import collate
from gdlib.networks.contrastive import contrast, cosine_loss, draw_pairs
from gdlib.networks.encoders import mean_state

LABELS = [0, 0, 0, 1, 1, 2]


def encoder() -> BertModel:
    torch.manual_seed(0)
    sizes = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1}
    sizes |= {"num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 16}
    return BertModel(BertConfig(**sizes), add_pooling_layer=False)


def test_half_of_the_pairs_are_of_one_class_and_no_text_is_its_own_partner_for_nothing():
    classes = np.array(LABELS)
    for step in range(50):
        places, alike = draw_pairs(LABELS, 8, [1, step])
        left, right = places.numpy()
        assert alike.tolist() == [1] * 4 + [0] * 4
        assert ((classes[left] == classes[right]) == alike.numpy()).all()
        alone = left == right
        assert (classes[left][alone] == 2).all()  # the class of one text


def test_every_partner_is_drawn_as_often_as_another():
    drawn = [draw_pairs(LABELS, 2, [0, step])[0].numpy() for step in range(6000)]
    partners = [pair[1, 0] for pair in drawn if pair[0, 0] == 0]
    shares = np.bincount(partners, minlength=6) / len(partners)
    assert shares[[1, 2]] == pytest.approx([0.5, 0.5], abs=0.06)
    others = [pair[1, 1] for pair in drawn if pair[0, 1] == 5]
    shares = np.bincount(others, minlength=6) / len(others)
    assert shares[:5] == pytest.approx([0.2] * 5, abs=0.05)


def test_the_loss_is_the_squared_distance_of_the_cosine():
    network = encoder().eval()
    batch = collate([[1, 5, 2], [1, 6, 7, 2], [1, 8, 2], [1, 9, 2]], 0)
    with torch.no_grad():
        states = mean_state(network(**batch).last_hidden_state, batch["attention_mask"]).numpy()
        loss = cosine_loss(network, batch | {"alike": torch.tensor([1.0, 0.0])}).item()
    norms = np.linalg.norm(states, axis=1)
    cosines = [states[i] @ states[i + 2] / norms[i] / norms[i + 2] for i in (0, 1)]
    assert loss == pytest.approx(((cosines[0] - 1) ** 2 + cosines[1] ** 2) / 2, abs=1e-6)


def test_texts_of_one_class_come_together(monkeypatch):
    monkeypatch.setattr("gdlib.networks.contrastive.LR", 3e-3)
    network, labels = encoder(), [0] * 6 + [1] * 6
    rows = [[1, 5 + label, 20 + place, 2] for place, label in enumerate(labels)]

    def gap() -> float:
        batch = collate(rows, 0)
        with torch.no_grad():
            states = mean_state(network.eval()(**batch).last_hidden_state, batch["attention_mask"])
        cosines = torch.nn.functional.cosine_similarity(states[:, None], states[None], dim=-1)
        return (cosines[:6, :6].mean() - cosines[:6, 6:].mean()).item()

    before = gap()
    contrast(network, rows, labels, 0, steps=40, seed=0)
    assert gap() > before + 0.3
