"""LMGC: which gloss is meant, asked pair by pair; LMGC-M: the same with masked language modelling
beside it.

After Wahle, Ruas, Meuschke and Gipp 2021 (arXiv 2106.07967). For every candidate sense of a word in
a sentence one pair (:mod:`gdlib.networks.sense_coding`), a head with two labels, cross-entropy; the
candidate with the largest P(right) is the answer.

    L_LMGC   = L_WSD = CE(pair logits, is it the right gloss)
    L_LMGC-M = L_WSD + w L_MLM   (:mod:`gdlib.networks.lexical_mlm`)

Mended against the published code: the gloss's prefix and the target are cut into pieces before the
quotes are put in (there, the prefix was sliced afterwards, off by one); the attention mask is 1 on
hidden pieces and 0 on padding (there, the other way round); the weights kept are chosen on the
held-out set alone (there, on all evaluation sets).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gdlib.learn.batches import Batch, ask, batches_by_length
from gdlib.learn.loop import History, fit, seed_everything
from gdlib.learn.losses import below_one
from gdlib.networks import fine_tune as recipe
from gdlib.networks.encoders import evenly, freeze, keep_layers, to_device
from gdlib.networks.lexical_mlm import gradient_norms, lexical_loss, masked_copies, warm_up
from gdlib.networks.lexical_models import LABELS, LexicalModel
from gdlib.networks.lexical_plans import LexicalPlan
from gdlib.networks.sense_coding import Coded, Coder, draw_candidates
from gdlib.sources import zoo
from gdlib.sources.senses import Instance


def fine_tune(
    network: zoo.Network,
    train: Sequence[Instance],
    held_out: Sequence[Instance],
    plan: LexicalPlan,
    folder: Path,
    teacher: Path | None = None,
) -> History:
    """Train LMGC, LMGC-M or a small student on pairs and leave it in ``folder``, with its history.

    Args:
        network: the encoder to start from.
        train: instances; those with nothing to learn (one sense, or no right one) are passed over.
        held_out: what the weights are chosen by (:func:`held_out_score`).
        plan: how.
        folder: becomes the model; may hold a checkpoint to go on from.
        teacher: the folder of a trained lexical model whose pair logits are learnt from, if the
            plan's loss has a soft weight.
    """
    seed_everything(plan.seed)
    coder = plan.coder(zoo.tokenizer(network))
    classifier = zoo.classifier(network, LABELS, plan.dropout)
    if plan.layers:
        keep_layers(classifier, evenly(plan.layers, classifier.config.num_hidden_layers))
    model = LexicalModel(classifier, plan.mlm, plan.pooling)
    data = Pairs(coder, train, plan)
    if plan.loss.soft_weight and teacher is not None:
        data.learn_from(teacher)
    notes = {}
    if plan.mlm:
        checked = Pairs(coder, held_out, plan)
        notes = warm_up(model, data.batch, data.per_epoch, checked.batch, checked.per_epoch, plan)
    freeze(classifier, plan.trained_layers, pooler=plan.pooling == "cls")
    if model.parts_head is not None:
        start = pair_logits(to_device(model), coder, data.pairs[:256])
        right = torch.tensor([float(coded.gold[place]) for coded, place in data.pairs])
        model.parts_head.center(start, float(right.mean()))
    if plan.mlm:
        notes |= gradient_norms(model, data.batch(0), plan)
    checks = coder.code(held_out)
    history = fit(
        model,
        data.batch,
        lambda model, batch: lexical_loss(model, batch, plan),
        lambda model: held_out_score(scores(model, coder, checks), held_out),
        plan.regime(data.per_epoch),
        resume=folder / "checkpoint",
        evaluate_first=True,
    )
    recipe.save(model, coder.tokenizer, plan, history, folder, **notes)
    return history


class Pairs:
    """The pairs that a model learns from, as batches of whole instances.

    Args:
        coder: makes pieces of them.
        instances: those with nothing to learn are passed over.
        plan: how many wrong glosses, pairs per step, and whether pieces are hidden.
    """

    def __init__(self, coder: Coder, instances: Sequence[Instance], plan: LexicalPlan):
        self.coder, self.plan = coder, plan
        coded = coder.code([instance for instance in instances if instance.teaches])
        drawn, self.order, self.per_epoch = draw_batches(coded, plan)
        self.rows = [[(each, place) for place in places] for each, places in zip(coded, drawn)]
        self.teacher_logits: Sequence[Tensor] = ()

    @property
    def pairs(self) -> list[tuple[Coded, int]]:
        """All pairs, instance by instance."""
        return [pair for row in self.rows for pair in row]

    def learn_from(self, teacher: Path) -> None:
        """Add the logits of a trained model to the batches."""
        model = LexicalModel.load(teacher)
        logits = pair_logits(model, self.coder, self.pairs, "teacher's logits")
        self.teacher_logits = logits.split([len(row) for row in self.rows])

    def batch(self, step: int) -> Batch:
        """What :func:`lexical_loss` reads at a step: the pairs of some instances."""
        chosen = self.order(step)
        pairs = [(number, *pair) for number in chosen for pair in self.rows[number]]
        numbers, coded, places = zip(*pairs)
        labels = [int(each.gold[place]) for each, place in zip(coded, places)]
        batch = self.coder.pairs(list(zip(coded, places)))
        batch |= {"instance": torch.tensor(numbers), "labels": torch.tensor(labels)}
        if self.teacher_logits:
            batch["teacher"] = torch.cat([self.teacher_logits[number] for number in chosen])
        return batch | (masked_copies(batch, self.coder, self.plan, step) if self.plan.mlm else {})


def draw_batches(
    coded: Sequence[Coded], plan: LexicalPlan
) -> tuple[list[list[int]], Callable[[int], list[int]], int]:
    """Each instance's candidates to learn from; step to its instances, as many as make about
    ``plan.batch`` pairs; steps per epoch.
    """
    drawn = [
        draw_candidates(instance.gold, plan.negatives, [plan.seed, row])
        for row, instance in enumerate(coded)
    ]
    size = max(1, round(plan.batch * len(coded) / sum(map(len, drawn))))
    lengths = [len(instance.left) + len(instance.right) for instance in coded]
    return drawn, batches_by_length(lengths, size, plan.seed), -(-len(coded) // size)


def held_out_score(of_candidates: Sequence[np.ndarray], instances: Sequence[Instance]) -> float:
    """What is chosen by, lower is better: the share of wrong answers; between equal shares, the
    candidates' cross-entropy.
    """
    wrong, surprise = 0, 0.0
    for score, instance in zip(of_candidates, instances, strict=True):
        right = np.array(instance.gold, dtype=bool)
        wrong += not (right.any() and right[score.argmax()])
        if right.any():
            shifted = np.exp(score - score.max())
            surprise -= float(np.log(max(shifted[right].sum() / shifted.sum(), 1e-12)))
    return (wrong + below_one(surprise / len(instances))) / len(instances)


def scores(
    model: LexicalModel, coder: Coder, coded: Sequence[Coded], title: str = ""
) -> list[np.ndarray]:
    """Of every instance the log-odds of each candidate's gloss; where there is no choice, zeros.

    *Shape:* ``[candidates]`` each, float32.
    """
    counts = [len(instance.glosses) if len(instance.glosses) > 1 else 0 for instance in coded]
    pairs = [(one, place) for one, count in zip(coded, counts) for place in range(count)]
    logits = pair_logits(model, coder, pairs, title)
    odds = np.split((logits[:, 1] - logits[:, 0]).numpy(), np.cumsum(counts))
    return [
        part if count else np.zeros(len(instance.glosses), dtype=np.float32)
        for instance, count, part in zip(coded, counts, odds)
    ]


def pair_logits(
    model: LexicalModel,
    coder: Coder,
    pairs: Sequence[tuple[Coded, int]],
    title: str = "",
    batch: int = 64,
) -> Tensor:
    """The logits of some (instance, candidate), in their order.

    *Shape:* ``[pairs, 2]``, float32, on the CPU.
    """

    def length(pair: tuple[Coded, int]) -> int:
        instance, place = pair
        return len(instance.left) + len(instance.right) + len(instance.glosses[place])

    return ask(
        model,
        pairs,
        coder.pairs,
        lambda **inputs: model(**inputs)[0],
        length=length,
        width=len(LABELS),
        batch=batch,
        title=title,
    )
