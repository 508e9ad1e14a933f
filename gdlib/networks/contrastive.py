"""SetFit's recipe (Tunstall et al. 2022, arXiv 2209.11055): an encoder learns from pairs of the few
labelled texts whether their classes are the same, and a linear model reads its mean states.

It is what a user with few labels would take in the teacher's place, so it stands beside the
teacher as a reference. The steps are a setting here, where SetFit takes one pass over all pairs.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gdlib.learn.batches import Batch, collate
from gdlib.learn.loop import Regime, fit
from gdlib.networks.encoders import mean_state

LR, PAIRS = 2e-5, 16  # SetFit's defaults, per step


def draw_pairs(labels: Sequence[int], number: int, seed: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Pairs of places of texts, the first half of one class, the others of two.

    Each text has the same chance to come first, and among those that may come second as well; a
    text is its own partner only where its class has no other.

    Returns:
        Places ``[2, number]``, and 1 for pairs of one class, else 0, ``[number]``.
    """
    random, classes = np.random.default_rng(seed), np.asarray(labels)
    first = random.integers(len(classes), size=number)
    second = []
    for place, text in enumerate(first):
        same = classes == classes[text]
        partners = np.flatnonzero(same if place < number // 2 else ~same)
        partners = partners[partners != text] if len(partners) > 1 else partners
        second.append(random.choice(partners))
    alike = torch.arange(number) < number // 2
    return torch.from_numpy(np.stack([first, second])), alike.float()


def cosine_loss(encoder: nn.Module, batch: Batch) -> Tensor:
    """The squared distance of the cosine of two texts' mean states from 1 or 0, the mean over the
    pairs.

    Args:
        encoder: whose last hidden states are read.
        batch: ``input_ids`` and ``attention_mask`` of the first texts, then of the second ones,
            ``[2 * pairs, length]``; ``alike``, ``[pairs]``.
    """
    alike = batch.pop("alike")
    states = encoder(**batch).last_hidden_state.float()
    left, right = mean_state(states, batch["attention_mask"]).chunk(2)
    return F.mse_loss(F.cosine_similarity(left, right), alike)


def contrast(
    encoder: nn.Module,
    rows: Sequence[Sequence[int]],
    labels: Sequence[int],
    pad_id: int,
    steps: int,
    seed: int,
) -> None:
    """Fine-tune an encoder in place on pairs of labelled texts; nothing is chosen.

    Args:
        encoder: a pretrained encoder without a head.
        rows: ids of the texts with special tokens.
        labels: of the texts, of at least two classes.
        pad_id: of the padding.
        steps: optimisation steps of :data:`PAIRS` pairs.
        seed: of the pairs and of dropout.
    """

    def batch(step: int) -> Batch:
        places, alike = draw_pairs(labels, PAIRS, [seed, step])
        return collate([rows[place] for place in places.flatten()], pad_id) | {"alike": alike}

    regime = Regime(steps=steps, lr=LR, evaluate_every=steps, seed=seed)
    fit(encoder, batch, cosine_loss, lambda _: 0.0, regime, title="SetFit's pairs")
