"""All candidate glosses of a word in one pass: a vector for the word in its sentence, kept vectors
for glosses.

One encoder for both sides. The word's vector is the mean of its pieces' states, or of the whole
sentence's, read with quotes around the word; a gloss's vector the mean over ``lemma : gloss``; the
score is their cosine times a learnt scale, with cross-entropy over the candidates. A gloss has one
vector wherever it is asked for, so asking is one pass over the sentence however many senses the
word has. It is ours: the paper asks pair by pair. (The form is that of Blevins and Zettlemoyer
2020, with one encoder in the place of two and cosines in that of dot products.)
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from gdlib.learn.batches import Batch, autocast, in_batches
from gdlib.learn.loop import History, fit, seed_everything
from gdlib.learn.sense_losses import choice_loss
from gdlib.networks.layers import freeze, to_device
from gdlib.networks.lexical_plans import LexicalPlan
from gdlib.networks.pairs import HEADS, SCALE, draw_batches, held_out_score, leave
from gdlib.networks.sense_coding import LONG_GLOSS, Coded, Coder
from gdlib.sources import zoo
from gdlib.sources.formats import quiet
from gdlib.sources.senses import Instance


class VectorModel(nn.Module):
    """An encoder that makes vectors of words and of glosses, and the scale of their cosine.

    Args:
        encoder: of transformers.
    """

    def __init__(self, encoder: PreTrainedModel):
        super().__init__()
        self.encoder = encoder
        self.log_scale = nn.Parameter(torch.tensor(SCALE).log())

    def vectors(self, input_ids: Tensor, attention_mask: Tensor, pooled: Tensor) -> Tensor:
        """The mean of the states of the ``pooled`` pieces, of length 1.

        *Shape:* all ``[rows, length]`` -> ``[rows, width]``.
        """
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = pooled.to(states.dtype)[..., None]
        return F.normalize(
            ((states * weights).sum(1) / weights.sum(1).clamp(min=1)).float(), dim=-1
        )

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        pooled: Tensor,
        glosses: Tensor,
        gloss_mask: Tensor,
    ) -> Tensor:
        """Scores of candidates, minus infinity where an instance has fewer.

        *Shape:* the first three ``[batch, length]``, glosses and gloss_mask ``[batch, candidates,
        pieces]`` -> ``[batch, candidates]``.
        """
        there = gloss_mask.any(-1)
        words = self.vectors(input_ids, attention_mask, pooled)
        meanings = self.vectors(glosses[there], gloss_mask[there], gloss_mask[there])
        cosines = (words.repeat_interleave(there.sum(-1), dim=0) * meanings).sum(-1)
        empty = torch.full(there.shape, -torch.inf, device=cosines.device)
        return empty.masked_scatter(there, self.log_scale.exp() * cosines)

    def save(self, folder: Path) -> None:
        """Write the encoder (a folder that the zoo locates) and the scale."""
        with quiet():
            self.encoder.save_pretrained(folder)
        save_file({"log_scale": self.log_scale.detach()}, folder / HEADS)

    @classmethod
    def load(cls, folder: Path) -> "VectorModel":
        """The model that :meth:`save` left, in evaluation mode."""
        model = cls(zoo.encoder(zoo.locate(str(folder))))
        with torch.no_grad():
            model.log_scale.copy_(load_file(folder / HEADS)["log_scale"])
        return to_device(model)


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
    coder = Coder(zoo.tokenizer(network), plan.max_length)
    encoder = zoo.encoder(network)
    set_dropout(encoder, plan.dropout)
    model = VectorModel(encoder)
    coded = coder.code([one for one in train if one.teaches], prefix="lemma")
    drawn, order, per_epoch = draw_batches(coded, plan)
    whole = plan.word_vector == "sentence"
    checks = coder.code(held_out, prefix="lemma")
    freeze(encoder, plan.trained_layers, pooler=False)
    history = fit(
        model, lambda step: collate(coder, [(coded[i], drawn[i]) for i in order(step)], whole), candidate_loss,
        lambda m: held_out_score(scores(m, coder, checks, whole), held_out), plan.regime(per_epoch),
        resume=folder / "checkpoint", evaluate_first=True, title="gloss vectors", quiet=True,
    )  # fmt: skip
    leave(model, coder, plan, history, folder)
    return history


def candidate_loss(model: nn.Module, batch: Batch) -> Tensor:
    """:func:`gdlib.learn.sense_losses.choice_loss` over the candidates' scores."""
    return choice_loss(
        model(**{name: t for name, t in batch.items() if name != "right"}), batch["right"]
    )


def collate(
    coder: Coder, rows: Sequence[tuple[Coded, Sequence[int]]], whole: bool = False
) -> Batch:
    """Instances with some of their candidates as tensors: what :meth:`VectorModel.forward` takes,
    and ``right``.
    """
    batch = context_inputs(coder, [one for one, _ in rows], whole)
    glosses = gloss_inputs(coder, [one.glosses[place] for one, places in rows for place in places])
    there = (
        torch.arange(max(len(places) for _, places in rows))
        < torch.tensor([len(places) for _, places in rows])[:, None]
    )
    shape = (*there.shape, glosses["input_ids"].shape[1])
    for name, source in (("glosses", "input_ids"), ("gloss_mask", "attention_mask")):
        batch[name] = torch.zeros(shape, dtype=torch.long)
        batch[name][there] = glosses[source]
    batch["right"] = torch.zeros(there.shape, dtype=torch.bool)
    batch["right"][there] = torch.tensor(
        [one.gold[place] for one, places in rows for place in places]
    )
    return batch


def context_inputs(coder: Coder, coded: Sequence[Coded], whole: bool = False) -> Batch:
    """Sentences as inputs of :meth:`VectorModel.vectors`; ``whole``: pooled over all pieces in
    place of the target's.
    """
    rows = [coder.context(one, coder.max_length - 2) for one in coded]
    inputs = coder.inputs([[coder.cls, *ids, coder.sep] for ids, _ in rows])
    pooled = coder.inputs([[0, *map(int, target), 0] for _, target in rows])["input_ids"] == 1
    return inputs | {"pooled": inputs["attention_mask"].bool() if whole else pooled}


def gloss_inputs(coder: Coder, glosses: Sequence[list[int]]) -> Batch:
    """``lemma : gloss`` as inputs of :meth:`VectorModel.vectors`."""
    inputs = coder.inputs(
        [[coder.cls, *gloss[: int(LONG_GLOSS * coder.max_length)], coder.sep] for gloss in glosses]
    )
    return inputs | {"pooled": inputs["attention_mask"].bool()}


def scores(
    model: VectorModel, coder: Coder, coded: Sequence[Coded], whole: bool = False
) -> list[np.ndarray]:
    """Of every instance the cosine of its word and each candidate's gloss, scaled; every distinct
    gloss passes once.
    """
    glosses = list(dict.fromkeys(tuple(gloss) for one in coded for gloss in one.glosses))
    kept = dict(
        zip(
            glosses,
            _in_batches(
                model,
                [len(g) for g in glosses],
                lambda rows: gloss_inputs(coder, [list(glosses[i]) for i in rows]),
            ),
        )
    )
    lengths = [len(one.left) + len(one.right) for one in coded]
    words = _in_batches(
        model, lengths, lambda rows: context_inputs(coder, [coded[i] for i in rows], whole)
    )
    scale = model.log_scale.detach().exp().item()
    return [
        scale * np.stack([kept[tuple(gloss)] @ word for gloss in one.glosses])
        if one.glosses
        else np.zeros(0)
        for one, word in zip(coded, words)
    ]


def similarity(
    network: zoo.Network, instances: Sequence[Instance], max_length: int
) -> list[np.ndarray]:
    """The baseline without training: the encoder's mean state over the sentence against that over
    each gloss, by cosine.
    """
    coder = Coder(zoo.tokenizer(network), max_length)
    return scores(
        to_device(VectorModel(zoo.encoder(network))),
        coder,
        coder.code(instances, prefix="lemma"),
        whole=True,
    )


def set_dropout(network: PreTrainedModel, rate: float) -> None:
    """Set every dropout of a network that is built already."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate


@torch.inference_mode()
def _in_batches(
    model: VectorModel,
    lengths: Sequence[int],
    inputs: Callable[[list[int]], Batch],
    batch: int = 64,
) -> np.ndarray:
    device = next(model.parameters()).device
    found = np.empty((len(lengths), model.encoder.config.hidden_size), dtype=np.float32)
    for rows in in_batches(lengths, batch):
        with autocast(device, "auto"):
            found[rows] = (
                model.vectors(**{name: t.to(device) for name, t in inputs(rows).items()})
                .float()
                .cpu()
                .numpy()
            )
    return found
