"""LMGC: which gloss is meant, asked pair by pair; LMGC-M: the same with masked language modelling
beside it.

After Wahle, Ruas, Meuschke and Gipp 2021 (arXiv 2106.07967). For every candidate sense of a word in
a sentence one pair (:mod:`gdlib.networks.sense_coding`), a head with two labels, cross-entropy; the
candidate with the largest P(right) is the answer.

    L_LMGC   = L_WSD = CE(pair logits, is it the right gloss)
    L_LMGC-M = L_MLM + L_WSD,   both on the same pair with 15% of its pieces hidden, on both sides

Mended against the published code: the gloss's prefix and the target are cut into pieces before the
quotes are put in (there, the prefix was sliced afterwards, off by one); the attention mask is 1 on
hidden pieces and 0 on padding (there, the other way round); the weights kept are chosen on the
held-out set alone (there, on all evaluation sets).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from gdlib.learn.batches import Batch, autocast, batches_by_length, in_batches
from gdlib.learn.loop import (
    History,
    Regime,
    fit,
    seed_everything,
    writes_files,
)
from gdlib.learn.losses import DistillationLoss
from gdlib.learn.sense_losses import pair_loss
from gdlib.networks.layers import freeze, keep_layers, to_device
from gdlib.networks.lexical_plans import LexicalPlan
from gdlib.networks.masked_lm import NOT_ASKED, TiedHead, mask_pieces, piece_loss
from gdlib.networks.sense_coding import Coded, Coder, draw_candidates
from gdlib.sources import zoo
from gdlib.sources.formats import quiet
from gdlib.sources.senses import Instance

SCALE = 20.0  # what a cosine is multiplied by at the start
LABELS = ("wrong gloss", "right gloss")
HEADS, PLAN_FILE = "heads.safetensors", "plan.json"


class PartsHead(nn.Module):
    """Two labels from a pair's two parts: linear in ``[u, v, |u - v|, u * v]`` of their mean
    states, each of length 1.

    It starts as their cosine, so that an encoder of sentences knows something of pairs before it
    has seen any.

    Args:
        width: of the states.
    """

    def __init__(self, width: int):
        super().__init__()
        self.linear = nn.Linear(4 * width, len(LABELS))
        with torch.no_grad():
            self.linear.bias.zero_()
            self.linear.weight.zero_()[:, 3 * width :] = torch.tensor([[-SCALE / 2], [SCALE / 2]])

    def forward(self, states: Tensor, attention_mask: Tensor, second: Tensor) -> Tensor:
        """*Shape:* states ``[pairs, length, width]``, masks ``[pairs, length]`` -> ``[pairs, 2]``."""
        parts = torch.stack([attention_mask.bool() & ~second, second], dim=1).float()
        with torch.autocast(
            states.device.type, enabled=False
        ):  # bf16 is too coarse for the differences of cosines
            u, v = F.normalize(parts @ states.float(), dim=-1).unbind(
                1
            )  # sums for means: their length falls away
            return self.linear(torch.cat([u, v, (u - v).abs(), u * v], dim=-1))

    @torch.no_grad()
    def center(self, logits: Tensor, right: float) -> None:
        """Move the bias so that pairs with these logits, of which a share of ``right`` is right,
        get that share's odds on average.
        """
        self.linear.bias += (torch.tensor([1 - right, right]).log() - logits.mean(0)).to(
            self.linear.bias.device
        )


class LexicalModel(nn.Module):
    """An encoder of pairs with two labels and, for LMGC-M, a head that guesses hidden pieces.

    Args:
        classifier: of transformers, labels :data:`LABELS`.
        mlm: whether it has the second head.
        pooling: ``cls``, the classifier's own head on its pooled first piece, as in the paper; or
            ``parts`` (:class:`PartsHead`), for an encoder whose first piece was never trained to
            say anything.
    """

    def __init__(self, classifier: PreTrainedModel, mlm: bool, pooling: str = "cls"):
        super().__init__()
        embedding = classifier.get_input_embeddings().weight
        self.classifier = classifier if pooling == "cls" else classifier.base_model
        self.parts_head = PartsHead(classifier.config.hidden_size) if pooling == "parts" else None
        self.mlm_head = (
            TiedHead(classifier.config.hidden_size, embedding.shape[1], len(embedding))
            if mlm
            else None
        )

    def forward(
        self, second: Tensor, asked: Tensor | None = None, **inputs: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Logits of pairs and, where pieces are asked for, theirs.

        *Shape:* second (the gloss's pieces), asked (bool) and inputs ``[pairs, length]`` ->
        ``[pairs, 2]``, ``[asked, vocabulary]``.
        """
        if self.parts_head is None:
            out = self.classifier(**inputs, output_hidden_states=asked is not None)
            logits, states = out.logits, out.hidden_states[-1] if asked is not None else None
        else:
            states = self.classifier(**inputs).last_hidden_state
            logits = self.parts_head(states, inputs["attention_mask"], second)
        return logits, None if asked is None else self.mlm_head(
            states[asked], self.classifier.get_input_embeddings().weight
        )

    def save(self, folder: Path) -> None:
        """Write the bare encoder (a folder that the zoo locates like any network) and, in a file of
        its own, the heads.
        """
        body = self.classifier.base_model
        with quiet():
            body.save_pretrained(folder)
        of_body = {id(tensor) for tensor in body.state_dict(keep_vars=True).values()}
        heads = {
            name: t.detach()
            for name, t in self.state_dict(keep_vars=True).items()
            if id(t) not in of_body
        }
        save_file(heads, folder / HEADS)

    @classmethod
    def load(cls, folder: Path) -> "LexicalModel":
        """The model that :meth:`save` left, in evaluation mode."""
        heads = load_file(folder / HEADS)
        mlm, parts = (
            any(name.startswith(head) for name in heads) for head in ("mlm_head.", "parts_head.")
        )
        model = cls(
            zoo.classifier(zoo.locate(str(folder)), LABELS), mlm, "parts" if parts else "cls"
        )
        state = model.state_dict()
        model.load_state_dict(state | heads)
        return to_device(model)


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
    coder = Coder(zoo.tokenizer(network), plan.max_length, plan.marked)
    classifier = zoo.classifier(network, LABELS, plan.dropout)
    if plan.layers:
        keep_layers(classifier, plan.layers)
    model = LexicalModel(classifier, plan.mlm, plan.pooling)
    coded = coder.code([one for one in train if one.teaches])
    drawn, order, per_epoch = draw_batches(coded, plan)
    pairs = [(row, place) for row, places in enumerate(drawn) for place in places]
    starts = np.cumsum([0, *map(len, drawn)])
    labels = torch.tensor([int(coded[row].gold[place]) for row, place in pairs])
    logits = None
    if plan.loss.soft_weight and teacher is not None:
        logits = pair_logits(
            LexicalModel.load(teacher),
            coder,
            [(coded[row], place) for row, place in pairs],
            "teacher's logits",
        )

    def batch(step: int) -> Batch:
        rows = [i for one in order(step) for i in range(starts[one], starts[one + 1])]
        inputs = coder.pairs([(coded[pairs[i][0]], pairs[i][1]) for i in rows])
        inputs["instance"] = torch.tensor([pairs[i][0] for i in rows])
        if plan.mlm:
            random = torch.Generator().manual_seed(
                int(np.random.SeedSequence([plan.seed, step]).generate_state(1)[0])
            )
            ids, targets = mask_pieces(
                inputs["input_ids"],
                coder.maskable(inputs),
                coder.tokenizer.mask_token_id,
                len(coder.tokenizer),
                random,
                plan.mask_share,
            )
            inputs |= {"input_ids": ids, "targets": targets}
        return (
            inputs
            | {"labels": labels[rows]}
            | ({"teacher": logits[rows]} if logits is not None else {})
        )

    checks = coder.code(held_out)
    if plan.mlm and plan.mlm_head_steps:
        warm_up(model, batch, plan)
    freeze(classifier, plan.trained_layers, pooler=plan.pooling == "cls")
    if model.parts_head is not None:
        some = [(coded[row], place) for row, place in pairs[:256]]
        model.parts_head.center(
            pair_logits(to_device(model), coder, some), float(labels.float().mean())
        )
    history = fit(
        model, batch, lambda m, b: lexical_loss(m, b, plan.loss, plan.pair_loss), lambda m: held_out_score(scores(m, coder, checks), held_out),
        plan.regime(per_epoch), resume=folder / "checkpoint", evaluate_first=True, title="LMGC-M" if plan.mlm else "LMGC", quiet=True,
    )  # fmt: skip
    leave(model, coder, plan, history, folder)
    return history


def draw_batches(
    coded: Sequence[Coded], plan: LexicalPlan
) -> tuple[list[list[int]], Callable[[int], list[int]], int]:
    """Each instance's candidates to learn from; step to its instances, as many as make about
    ``plan.batch`` pairs; steps an epoch.
    """
    drawn = [
        draw_candidates(one.gold, plan.negatives, [plan.seed, row]) for row, one in enumerate(coded)
    ]
    size = max(1, round(plan.batch * len(coded) / sum(map(len, drawn))))
    return (
        drawn,
        batches_by_length([len(one.left) + len(one.right) for one in coded], size, plan.seed),
        -(-len(coded) // size),
    )


def lexical_loss(
    model: nn.Module, batch: Batch, how: DistillationLoss, form: str = "pairs"
) -> Tensor:
    """``L_WSD``, plus ``L_MLM`` where the batch has pieces to guess (``targets``), unweighted as in
    the paper.
    """
    targets = batch.get("targets")
    logits, pieces = model(**_inputs(batch))
    of_wsd = pair_loss(
        logits.float(), batch["labels"], batch["instance"], form, how, batch.get("teacher")
    )
    return of_wsd if targets is None else of_wsd + piece_loss(pieces, targets)


def warm_up(model: LexicalModel, batch: Callable[[int], Batch], plan: LexicalPlan) -> None:
    """Train the new MLM head alone on the same batches, so that the encoder is not pulled about by
    a random one.
    """
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("mlm_head."))
    regime = Regime(
        steps=plan.mlm_head_steps, lr=1e-3, evaluate_every=plan.mlm_head_steps, seed=plan.seed
    )
    fit(
        model,
        batch,
        lambda m, b: piece_loss(m(**_inputs(b))[1], b["targets"]),
        lambda m: 0.0,
        regime,
        quiet=True,
    )
    model.requires_grad_(True)


def _inputs(batch: Batch) -> Batch:
    """What the model takes of a batch: pieces are asked for where there are targets."""
    inputs = {
        name: batch[name]
        for name in ("input_ids", "attention_mask", "token_type_ids", "second")
        if name in batch
    }
    return inputs | ({"asked": batch["targets"] != NOT_ASKED} if "targets" in batch else {})


def held_out_score(of_candidates: Sequence[np.ndarray], instances: Sequence[Instance]) -> float:
    """What is chosen by, lower is better: the share of wrong answers; between equal shares, the
    candidates' cross-entropy.
    """
    wrong, surprise = 0, 0.0
    for score, one in zip(of_candidates, instances, strict=True):
        right = np.array(one.gold, dtype=bool)
        if right.any():
            shifted = np.exp(score - score.max())
            wrong += not right[score.argmax()]
            surprise -= float(np.log(max(shifted[right].sum() / shifted.sum(), 1e-12)))
        else:
            wrong += 1
    return (wrong + surprise / 1000) / len(instances)


def scores(
    model: LexicalModel, coder: Coder, coded: Sequence[Coded], title: str = ""
) -> list[np.ndarray]:
    """Of every instance the log-odds of each candidate's gloss; where there is no choice, zeros.

    *Shape:* ``[candidates]`` each.
    """
    found = [np.zeros(len(one.glosses), dtype=np.float32) for one in coded]
    asked = [
        (row, place)
        for row, one in enumerate(coded)
        if len(one.glosses) > 1
        for place in range(len(one.glosses))
    ]
    logits = pair_logits(model, coder, [(coded[row], place) for row, place in asked], title)
    for (row, place), odds in zip(asked, (logits[:, 1] - logits[:, 0]).tolist()):
        found[row][place] = odds
    return found


@torch.inference_mode()
def pair_logits(
    model: LexicalModel,
    coder: Coder,
    asked: Sequence[tuple[Coded, int]],
    title: str = "",
    batch: int = 64,
) -> Tensor:
    """The logits of some (instance, candidate), in their order.

    *Shape:* ``[pairs, 2]``, float32, on the CPU.
    """
    device = next(model.parameters()).device
    logits = torch.empty(len(asked), 2)
    lengths = [len(one.left) + len(one.right) + len(one.glosses[place]) for one, place in asked]
    with tqdm(total=len(asked), desc=title, unit="pair", mininterval=2.0, disable=not title) as bar:
        for rows in in_batches(lengths, batch):
            inputs = {
                name: t.to(device) for name, t in coder.pairs([asked[i] for i in rows]).items()
            }
            with autocast(device, "auto"):
                logits[rows] = model(**inputs)[0].float().cpu()
            bar.update(len(rows))
    return logits


def leave(model: Any, coder: Coder, plan: LexicalPlan, history: History, folder: Path) -> None:
    """Write a trained model, its tokenizer, the plan and the history into a folder, from the
    process that writes.
    """
    if writes_files():
        model.cpu().save(folder)
        coder.tokenizer.save_pretrained(folder)
        (folder / PLAN_FILE).write_text(json.dumps(asdict(plan)))
        (folder / "history.json").write_text(json.dumps(asdict(history)))
