"""What a teacher predicts at masked positions, saved on disk, and what rules look at in it."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gdlib.core.errors import StaleArtifact
from gdlib.learn import tensors

FILE = "pieces.safetensors"


@dataclass(frozen=True)
class Evidence:
    """What the rules look at. *Shape:* each ``[teachers, positions]``.

    Args:
        entropy: of the whole distribution, nats.
        confidence: log-probability of the likeliest piece.
        gold: log-probability of the hidden piece.
    """

    entropy: Tensor
    confidence: Tensor
    gold: Tensor


def evidence(log_probabilities: Tensor, gold: Tensor) -> Evidence:
    """*Shape:* log_probabilities ``[teachers, positions, pieces]`` (of one teacher:
    ``[positions, pieces]``), gold ``[positions]``.
    """
    entropy = -(log_probabilities.exp() * log_probabilities.clamp(min=-1e4)).sum(dim=-1)
    places = gold.expand(entropy.shape).unsqueeze(-1)
    at_gold = log_probabilities.gather(-1, places).squeeze(-1)
    return Evidence(entropy, log_probabilities.amax(dim=-1), at_gold)


@dataclass(frozen=True)
class TopPieces:
    """What one teacher predicts at every masked position of some texts: its likeliest pieces; the
    rest of the probability is spread evenly.

    Entropy and the gold piece's log-probability are those of the whole distribution, before
    anything is left out.

    Args:
        pieces: ids in the reference vocabulary. *Shape:* ``[positions, kept]``, int32.
        log_probabilities: of these. *Shape:* ``[positions, kept]``, float32.
        entropy, gold: *Shape:* ``[positions]``.
        vocabulary: number of pieces in all.
        digest: of the masked texts.
    """

    pieces: Tensor
    log_probabilities: Tensor
    entropy: Tensor
    gold: Tensor
    vocabulary: int
    digest: str

    @property
    def rest(self) -> Tensor:
        """The probability that is not on the kept pieces. *Shape:* ``[positions]``."""
        return _rest(self.log_probabilities)

    def dense(self, positions: Tensor) -> Tensor:
        """Log-probabilities over the whole vocabulary.

        *Shape:* ``[number]`` -> ``[number, vocabulary]``; each sums to 1.
        """
        kept, others = self.log_probabilities[positions], self.vocabulary - self.pieces.shape[1]
        even = (_rest(kept) / max(1, others)).clamp(min=1e-12).log()
        whole = even.unsqueeze(-1).expand(-1, self.vocabulary).clone()
        return whole.scatter_(1, self.pieces[positions].long(), kept)

    def save(self, folder: Path) -> None:
        """Write ``pieces.safetensors``; vocabulary and digest of the texts travel in its header."""
        named = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        tensors.save(folder / FILE, named, vocabulary=self.vocabulary, texts=self.digest)


def _rest(kept: Tensor) -> Tensor:
    return (1 - kept.exp().sum(dim=-1)).clamp(min=0)


def everywhere(log_probabilities: Tensor, gold: Tensor, digest: str) -> TopPieces:
    """One distribution at every position, whatever stands around it.

    *Shape:* log_probabilities ``[vocabulary]``, gold ``[positions]``.
    """
    positions, vocabulary = len(gold), len(log_probabilities)
    entropy = -(log_probabilities.exp() * log_probabilities).sum()
    return TopPieces(
        torch.arange(vocabulary).expand(positions, -1),
        log_probabilities.expand(positions, -1),
        entropy.expand(positions),
        log_probabilities[gold],
        vocabulary,
        digest,
    )


def top_pieces(logits: Tensor, gold: Tensor, number: int) -> dict[str, Tensor]:
    """The tensors of :class:`TopPieces` from a teacher's logits.

    *Shape:* logits ``[positions, vocabulary]``, gold ``[positions]``.
    """
    log_probabilities = logits.float().log_softmax(dim=-1)
    seen = evidence(log_probabilities, gold)
    top = log_probabilities.topk(min(number, logits.shape[-1]), dim=-1)
    return {
        "pieces": top.indices.to(torch.int32),
        "log_probabilities": top.values,
        "entropy": seen.entropy,
        "gold": seen.gold,
    }


def load(folder: Path, vocabulary: int, digest: str) -> TopPieces:
    """Read a teacher's predictions back, and check that they are of these texts, masked so, in this
    vocabulary.

    Raises:
        StaleArtifact: other texts, other masks, or another vocabulary.
    """
    named, header = tensors.load(folder / FILE)
    if header["texts"] != digest:
        raise StaleArtifact(
            f"predictions in {folder} are for other texts, or other masks, than those given"
        )
    if header["vocabulary"] != vocabulary:
        raise StaleArtifact(
            f"predictions in {folder} are over {header['vocabulary']} pieces; expected {vocabulary}"
        )
    return TopPieces(**named, vocabulary=vocabulary, digest=digest)
