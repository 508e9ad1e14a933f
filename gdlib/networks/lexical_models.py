"""Networks that say which gloss is meant: encoders of pairs (sentence, gloss), and of vectors of
both.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from gdlib.networks.encoders import compared, mean_state, to_device
from gdlib.networks.masked_lm import TiedHead
from gdlib.sources import zoo

SCALE = 20.0  # what a cosine is multiplied by at the start
LABELS = ("wrong gloss", "right gloss")
HEADS = "heads.safetensors"


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

    def forward(self, states: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """The labels of pairs; ``first`` and ``second`` say which pieces are whose.

        *Shape:* states ``[pairs, length, width]``, both others ``[pairs, length]``, bool ->
        ``[pairs, 2]``.
        """
        parts = torch.stack([first, second], dim=1).float()
        # bf16 is too coarse for the differences of cosines
        with torch.autocast(states.device.type, enabled=False):
            # sums do for means: their length falls away
            u, v = F.normalize(parts @ states.float(), dim=-1).unbind(1)
            return self.linear(compared(u, v))

    @torch.no_grad()
    def center(self, logits: Tensor, right: float) -> None:
        """Move the bias so that pairs with these logits, of which a share of ``right`` is right,
        get that share's odds on average.
        """
        shift = torch.tensor([1 - right, right]).log() - logits.mean(0)
        self.linear.bias += shift.to(self.linear.bias.device)


class LexicalModel(nn.Module):
    """An encoder of pairs with two labels and, for LMGC-M, a head that guesses hidden pieces.

    Args:
        classifier: of transformers, labels :data:`LABELS`.
        mlm: whether it has the second head.
        pooling: ``cls``, the classifier's own head on its pooled first piece, as in the paper; else
            ``parts`` or ``target`` (:class:`PartsHead`), for an encoder whose first piece was never
            trained to say anything.
    """

    def __init__(self, classifier: PreTrainedModel, mlm: bool, pooling: str = "cls"):
        super().__init__()
        width, embedding = classifier.config.hidden_size, classifier.get_input_embeddings().weight
        self.classifier = classifier if pooling == "cls" else classifier.base_model
        self.parts_head = None if pooling == "cls" else PartsHead(width)
        self.mlm_head = TiedHead(width, embedding.shape[1], len(embedding)) if mlm else None

    def forward(
        self,
        second: Tensor,
        first: Tensor | None = None,
        masked: Tensor | None = None,
        hidden: Tensor | None = None,
        **inputs: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """Logits of the pairs as they are and, of their copies with hidden pieces, those of what
        these were.

        *Shape:* second (the gloss's pieces), first (what the gloss is compared with; none: all
        others), masked (ids of the copies), hidden (where; pairs without are not read again) and
        inputs ``[pairs, length]`` -> ``[pairs, 2]``, ``[hidden pieces, vocabulary]``.
        """
        if self.parts_head is None:
            logits = self.classifier(**inputs).logits
        else:
            states = self.classifier(**inputs).last_hidden_state
            others = inputs["attention_mask"].bool() & ~second
            logits = self.parts_head(states, others if first is None else first, second)
        if hidden is None:
            return logits, None
        return logits, self.mlm_head(self.hidden_states(masked, hidden, **inputs), self.embedding)

    def hidden_states(self, masked: Tensor, hidden: Tensor, **inputs: Tensor) -> Tensor:
        """The encoder's states at hidden pieces; arguments as of :meth:`forward`.

        *Shape:* ``[hidden pieces, width]``.
        """
        some = hidden.any(1)
        some[0] |= ~some.any()  # an encoder reads one row at least
        copies = {name: tensor[some] for name, tensor in (inputs | {"input_ids": masked}).items()}
        return self.classifier.base_model(**copies).last_hidden_state[hidden[some]]

    @property
    def embedding(self) -> Tensor:
        """Of the pieces. *Shape:* ``[vocabulary, embedding]``."""
        return self.classifier.get_input_embeddings().weight

    def save_pretrained(self, folder: Path) -> None:
        """Write the bare encoder (a folder that the zoo locates like any network) and, in a file of
        its own, the heads.
        """
        body = self.classifier.base_model
        body.save_pretrained(folder)
        of_body = {id(tensor) for tensor in body.state_dict(keep_vars=True).values()}
        heads = {
            name: tensor.detach()
            for name, tensor in self.state_dict(keep_vars=True).items()
            if id(tensor) not in of_body
        }
        save_file(heads, folder / HEADS)

    @classmethod
    def load(cls, folder: Path) -> "LexicalModel":
        """The model that :meth:`save_pretrained` left, in evaluation mode."""
        heads = load_file(folder / HEADS)
        modules = {name.split(".")[0] for name in heads}
        classifier = zoo.classifier(zoo.locate(str(folder)), LABELS)
        pooling = "parts" if "parts_head" in modules else "cls"
        model = cls(classifier, "mlm_head" in modules, pooling)
        model.load_state_dict(model.state_dict() | heads)
        return to_device(model)


class VectorModel(nn.Module):
    """An encoder that makes vectors of words and of glosses, and the scale of their cosine.

    Args:
        encoder: of transformers.
    """

    def __init__(self, encoder: PreTrainedModel):
        super().__init__()
        self.encoder = encoder
        self.log_scale = nn.Parameter(torch.tensor(SCALE).log())

    def vectors(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        pooled: Tensor,
        text: Tensor | None = None,
    ) -> Tensor:
        """The mean of the states of the ``pooled`` pieces, of length 1; ``text`` says which row of
        ``input_ids`` each row of ``pooled`` is of, where several are of one.

        *Shape:* the first two ``[texts, length]``, pooled ``[rows, length]``, text ``[rows]`` ->
        ``[rows, width]``.
        """
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        states = states if text is None else states[text]
        return F.normalize(mean_state(states, pooled).float(), dim=-1)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        pooled: Tensor,
        text: Tensor,
        glosses: Tensor,
        gloss_mask: Tensor,
    ) -> Tensor:
        """Scores of candidates, minus infinity where an instance has fewer.

        *Shape:* the first four as of :meth:`vectors`, with a row of ``pooled`` per instance;
        glosses and gloss_mask ``[instances, candidates, pieces]`` -> ``[instances, candidates]``.
        """
        there = gloss_mask.any(-1)
        words = self.vectors(input_ids, attention_mask, pooled, text)
        meanings = self.vectors(glosses[there], gloss_mask[there], gloss_mask[there])
        cosines = (words.repeat_interleave(there.sum(-1), dim=0) * meanings).sum(-1)
        empty = torch.full(there.shape, -torch.inf, device=cosines.device)
        return empty.masked_scatter(there, self.log_scale.exp() * cosines)

    def save_pretrained(self, folder: Path) -> None:
        """Write the encoder (a folder that the zoo locates) and the scale."""
        self.encoder.save_pretrained(folder)
        save_file({"log_scale": self.log_scale.detach()}, folder / HEADS)

    @classmethod
    def load(cls, folder: Path) -> "VectorModel":
        """The model that :meth:`save_pretrained` left, in evaluation mode."""
        model = cls(zoo.encoder(zoo.locate(str(folder))))
        with torch.no_grad():
            model.log_scale.copy_(load_file(folder / HEADS)["log_scale"])
        return to_device(model)
