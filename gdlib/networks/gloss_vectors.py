"""All candidate glosses of a word in one pass: a vector for the word in its sentence, kept vectors
for glosses.

One encoder for both sides. The word's vector is the mean of its pieces' states, or of the whole
sentence's, read with quotes around the word or without; a gloss's vector the mean over ``lemma :
gloss``; the score is their cosine times a learnt scale, with cross-entropy over the candidates. A
gloss has one vector wherever it is asked for, so asking is one pass over the sentence however many
senses the word has and, without quotes, however many of its words are asked for. It is ours: the
paper asks pair by pair. (The form is that of Blevins and Zettlemoyer 2020, with one encoder in the
place of two and cosines in that of dot products.)
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gdlib.learn.batches import Batch, ask, collate, from_place
from gdlib.learn.loop import History, fit, seed_everything
from gdlib.learn.sense_losses import choice_loss
from gdlib.networks import fine_tune as recipe
from gdlib.networks.encoders import freeze, set_dropout, to_device
from gdlib.networks.lexical_models import VectorModel
from gdlib.networks.lexical_plans import LexicalPlan
from gdlib.networks.pairs import draw_batches, held_out_score
from gdlib.networks.sense_coding import LONG_GLOSS, Coded, Coder
from gdlib.networks.teacher import tokenize
from gdlib.sources import zoo
from gdlib.sources.senses import Instance


def fine_tune(
    network: zoo.Network,
    train: Sequence[Instance],
    held_out: Sequence[Instance],
    plan: LexicalPlan,
    folder: Path,
) -> History:
    """Train on the same instances and wrong glosses as :func:`gdlib.networks.pairs.fine_tune` and
    leave the model in ``folder``.

    A step has as many instances as make up about ``plan.batch`` pairs.
    """
    seed_everything(plan.seed)
    coder = plan.coder(zoo.tokenizer(network))
    encoder = zoo.encoder(network)
    set_dropout(encoder, plan.dropout)
    model = VectorModel(encoder)
    coded = coder.code([instance for instance in train if instance.teaches], prefix="lemma")
    drawn, order, per_epoch = draw_batches(coded, plan)
    whole = plan.word_vector == "sentence"
    checks = coder.code(held_out, prefix="lemma")
    freeze(encoder, plan.trained_layers, pooler=False)
    history = fit(
        model,
        lambda step: inputs_of(coder, [(coded[i], drawn[i]) for i in order(step)], whole),
        candidate_loss,
        lambda model: held_out_score(scores(model, coder, checks, whole), held_out),
        plan.regime(per_epoch),
        resume=folder / "checkpoint",
        evaluate_first=True,
    )
    recipe.save(model, coder.tokenizer, plan, history, folder)
    return history


def candidate_loss(model: nn.Module, batch: Batch) -> Tensor:
    """:func:`gdlib.learn.sense_losses.choice_loss` over the candidates' scores."""
    right = batch.pop("right")
    return choice_loss(model(**batch), right)


def inputs_of(
    coder: Coder, rows: Sequence[tuple[Coded, Sequence[int]]], whole: bool = False
) -> Batch:
    """Instances with some of their candidates as tensors: what :meth:`VectorModel.forward` takes,
    and ``right``.
    """
    chosen = [(instance, place) for instance, places in rows for place in places]
    glosses = gloss_inputs(coder, [instance.glosses[place] for instance, place in chosen])
    counts = [len(places) for _, places in rows]
    there = ~from_place(torch.empty(len(rows), max(counts)), counts)
    shape = (*there.shape, glosses["input_ids"].shape[1])
    batch = context_inputs(coder, [instance for instance, _ in rows], whole)
    for name, source in (("glosses", "input_ids"), ("gloss_mask", "attention_mask")):
        batch[name] = torch.zeros(shape, dtype=torch.long)
        batch[name][there] = glosses[source]
    batch["right"] = torch.zeros(there.shape, dtype=torch.bool)
    batch["right"][there] = torch.tensor([instance.gold[place] for instance, place in chosen])
    return batch


def context_inputs(coder: Coder, coded: Sequence[Coded], whole: bool = False) -> Batch:
    """Sentences, each once, and the words in them, as inputs of :meth:`VectorModel.vectors`;
    ``whole``: pooled over all pieces in place of the target's.
    """
    rows = [coder.context(instance, coder.max_length - 2) for instance in coded]
    places: dict[tuple[int, ...], int] = {}
    text = torch.tensor([places.setdefault(tuple(ids), len(places)) for ids, _ in rows])
    inputs = coder.inputs([[coder.cls, *ids, coder.sep] for ids in places])
    pooled = coder.inputs([[0, *map(int, target), 0] for _, target in rows])["input_ids"] == 1
    pooled = inputs["attention_mask"].bool()[text] if whole else pooled
    return inputs | {"pooled": pooled, "text": text}


def by_sentence(coder: Coder, coded: Sequence[Coded]) -> list[list[int]]:
    """Which instances are read in the same pieces, and so in one pass."""
    together: dict[tuple[int, ...], list[int]] = {}
    for i, instance in enumerate(coded):
        ids, _ = coder.context(instance, coder.max_length - 2)
        together.setdefault(tuple(ids), []).append(i)
    return list(together.values())


def gloss_inputs(coder: Coder, glosses: Sequence[Sequence[int]]) -> Batch:
    """``lemma : gloss`` as inputs of :meth:`VectorModel.vectors`."""
    most = int(LONG_GLOSS * coder.max_length)
    return _pooled(coder.inputs([[coder.cls, *gloss[:most], coder.sep] for gloss in glosses]))


def _pooled(inputs: Batch) -> Batch:
    """Inputs of :meth:`VectorModel.vectors`, pooled over all pieces."""
    return inputs | {"pooled": inputs["attention_mask"].bool()}


def scores(
    model: VectorModel, coder: Coder, coded: Sequence[Coded], whole: bool = False
) -> list[np.ndarray]:
    """Of every instance the cosine of its word and each candidate's gloss, scaled; every distinct
    gloss passes once.
    """
    width = model.encoder.config.hidden_size
    distinct = list(dict.fromkeys(tuple(gloss) for instance in coded for gloss in instance.glosses))
    meanings = ask(
        model,
        distinct,
        lambda glosses: gloss_inputs(coder, glosses),
        model.vectors,
        length=len,
        width=width,
    )
    vector_of = dict(zip(distinct, meanings.numpy()))
    sentences = by_sentence(coder, coded)
    found = ask(
        model,
        sentences,
        lambda some: context_inputs(coder, [coded[i] for words in some for i in words], whole),
        model.vectors,
        length=lambda words: len(coded[words[0]].left) + len(coded[words[0]].right),
        counts=[len(words) for words in sentences],
        width=width,
    ).numpy()
    words = found[np.argsort([i for words in sentences for i in words])]
    scale = model.log_scale.detach().exp().item()
    return [
        scale * np.stack([vector_of[tuple(gloss)] @ word for gloss in instance.glosses])
        if instance.glosses
        else np.zeros(0)
        for instance, word in zip(coded, words)
    ]


def similarity(
    network: zoo.Network, instances: Sequence[Instance], max_length: int, gloss_text: str
) -> list[np.ndarray]:
    """The baseline without training: the encoder's mean state over the sentence against that over
    each gloss, by cosine.
    """
    coder = Coder(zoo.tokenizer(network), max_length, gloss_text=gloss_text)
    model = to_device(VectorModel(zoo.encoder(network)))
    return scores(model, coder, coder.code(instances, prefix="lemma"), whole=True)


def text_vectors(network: zoo.Network, texts: Sequence[str], max_length: int) -> Tensor:
    """An encoder's mean state over each text, of length 1. *Shape:* ``[texts, width]``."""
    model, tokenizer = to_device(VectorModel(zoo.encoder(network))), zoo.tokenizer(network)
    return ask(
        model,
        tokenize(tokenizer, texts, max_length),
        lambda rows: _pooled(collate(rows, tokenizer.pad_token_id)),
        model.vectors,
        width=model.encoder.config.hidden_size,
    )
