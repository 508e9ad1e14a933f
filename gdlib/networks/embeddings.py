"""Starts of a student's embedding: what the fine-tuned teacher knows of each word piece.

Each is a function ``start(teacher, vocabulary)`` with a name in
:data:`gdlib.networks.names.EMBEDDINGS`. It gives a vector per piece, ``[len(vocabulary), width]``,
or None to leave the student's rows as they were drawn. :func:`start_embedding` reduces the vectors
to the student's width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gdlib.core.errors import BadSetting
from gdlib.networks.names import EMBEDDINGS
from gdlib.networks.students import PAD, Vocabulary
from gdlib.networks.teacher import Teacher

SCALE = 0.3  # standard deviation of the rows


def random(teacher: Teacher, vocabulary: Vocabulary) -> None:
    """The rows stay as torch's generator drew them."""


def svd(teacher: Teacher, vocabulary: Vocabulary) -> Tensor:
    """The fine-tuned teacher's input embeddings (XtremeDistil, arXiv 2004.05686, section 3)."""
    return teacher.embedding[list(vocabulary.teacher_ids)]


def outputs(teacher: Teacher, vocabulary: Vocabulary) -> Tensor:
    """The fine-tuned teacher's mean last state of each piece alone, ``[CLS] piece [SEP]``.

    Model2Vec makes static vectors so. Pieces from which the teacher concludes the same class lie
    close together, also those that stand in few of the student's texts; that a student starts from
    them is ours.
    """
    return teacher.piece_states(vocabulary.teacher_ids)


def piece_vectors(embedding: str, teacher: Teacher, vocabulary: Vocabulary) -> Tensor | None:
    """The vectors of a named start.

    Raises:
        UnknownName: no start of that name.
    """
    return EMBEDDINGS[embedding](teacher, vocabulary)


def start_embedding(student: nn.Module, vectors: Tensor | None) -> None:
    """Start a student's ``embedding`` from vectors of its pieces; None leaves it as it was drawn.

    *Shape:* ``[pieces, width]``.
    """
    if vectors is not None:
        weight = student.embedding.weight
        with torch.no_grad():
            weight.copy_(reduced(vectors, weight.shape[1]))


def text_means(vectors: Tensor, rows: Sequence[Sequence[int]]) -> Tensor:
    """The mean of the vectors of a text's pieces: a static sentence vector. *Shape:* ``[pieces,
    width]`` -> ``[texts, width]``.
    """
    flat = torch.tensor([piece for row in rows for piece in row])
    starts = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)[:-1]
    return F.embedding_bag(flat, vectors, starts, mode="mean")


def reduced(vectors: Tensor, width: int) -> Tensor:
    """Vectors of pieces on their leading right singular vectors, the first row (padding) zero.

    The mean of the pieces is taken out first, because it is the same for all of them and would fill
    the first dimension, and the whole is scaled to a standard deviation of :data:`SCALE`: both are
    ours. *Shape:* ``[pieces, any]`` -> ``[pieces, width]``.

    Raises:
        BadSetting: more dimensions are asked for than the vectors have.
    """
    if width > vectors.shape[1]:
        raise BadSetting(
            f"embedding_dim = {width}: the teacher's embedding has only {vectors.shape[1]} "
            "dimensions"
        )
    centred = vectors.float() - vectors.float().mean(dim=0)
    # The right singular vectors are the eigenvectors of the small Gram matrix: [width, width]
    # instead of [pieces, pieces].
    _, axes = torch.linalg.eigh((centred.T @ centred).double())
    leading = axes.flip(1)[:, :width].float()
    leading = leading * leading.sum(dim=0).sign()  # an eigenvector's sign is arbitrary; fix it
    rows = centred @ leading
    rows = rows * (SCALE / rows.std())
    rows[PAD] = 0.0
    return rows
