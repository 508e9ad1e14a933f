"""A teacher's signals: its logits, and hidden states where wanted, computed once per text and kept
on disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from gdlib.core.errors import StaleArtifact
from gdlib.core.store import texts_digest
from gdlib.learn import tensors

FILE = "signals.safetensors"


@dataclass(frozen=True)
class Signals:
    """What a teacher predicts of a list of texts.

    Args:
        labels: class names, in the order of the logits' columns.
        logits: raw, before any softmax. *Shape:* ``[texts, classes]``, float32.
        digest: of the texts, in their order.
        states: hidden layer (0 is the embeddings) to a state per text. *Shape:* ``[texts, width]``
            each.
        means: the mean state of the last layer over a text's pieces, where it is kept. *Shape:*
            ``[texts, width]``.
    """

    labels: tuple[str, ...]
    logits: Tensor
    digest: str
    states: dict[int, Tensor] = field(default_factory=dict)
    means: Tensor | None = None

    def __post_init__(self) -> None:
        if self.logits.ndim != 2 or self.logits.shape[1] != len(self.labels):
            raise StaleArtifact(
                f"signals have shape {list(self.logits.shape)}, expected [texts, "
                f"{len(self.labels)}]"
            )

    @property
    def probabilities(self) -> Tensor:
        return self.logits.softmax(dim=-1)

    @property
    def predicted(self) -> Tensor:
        return self.logits.argmax(dim=-1)

    @property
    def entropy(self) -> Tensor:
        """Of the predicted distributions, nats. *Shape:* ``[texts]``, float64."""
        return torch.special.entr(self.probabilities.double()).sum(dim=-1)

    def save(self, folder: Path) -> None:
        """Write ``signals.safetensors``; labels and digest of the texts travel in its header."""
        states = {f"layer/{layer}": state for layer, state in self.states.items()}
        means = {} if self.means is None else {"means": self.means}
        named = {"logits": self.logits} | states | means
        tensors.save(folder / FILE, named, labels=self.labels, texts=self.digest)


def load(folder: Path, labels: Sequence[str], texts: Sequence[str]) -> Signals:
    """Read signals back and check that they are for these classes, in this order, and these texts.

    Raises:
        StaleArtifact: other classes, another order of them, or other texts.
    """
    named, header = tensors.load(folder / FILE)
    saved = tuple(header["labels"])
    if saved != tuple(labels):
        raise StaleArtifact(
            f"signals in {folder} are for the classes {', '.join(saved)}; expected, in this "
            f"order: {', '.join(labels)}"
        )
    if header["texts"] != texts_digest(texts):
        raise StaleArtifact(f"signals in {folder} are of other texts than the {len(texts)} given")
    logits, means = named.pop("logits"), named.pop("means", None)
    states = {int(name.removeprefix("layer/")): state for name, state in named.items()}
    return Signals(saved, logits, header["texts"], states, means)
