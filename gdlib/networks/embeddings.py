"""Starts of a student's embedding, a row for each piece of its vocabulary.

Each is a function ``start(teacher_embedding, vocabulary, width)`` with a name in
:data:`gdlib.networks.names.EMBEDDINGS`. It gives rows ``[len(vocabulary), width]``, or None to
leave them as they were drawn. *Shape:* teacher_embedding ``[teacher's pieces, teacher's width]``.
"""

import torch
from torch import Tensor, nn

from gdlib.core.errors import BadSetting
from gdlib.networks.names import EMBEDDINGS
from gdlib.networks.students import PAD, Vocabulary

SCALE = 0.3  # standard deviation of the rows


def start_embedding(
    student: nn.Module, embedding: str, teacher_embedding: Tensor, vocabulary: Vocabulary
) -> None:
    """Start a student's ``embedding`` by the named function.

    Raises:
        UnknownName: no start of that name.
    """
    weight = student.embedding.weight
    rows = EMBEDDINGS[embedding](teacher_embedding, vocabulary, weight.shape[1])
    if rows is not None:
        with torch.no_grad():
            weight.copy_(rows)


def random(*_: object) -> None:
    """The rows stay as torch's generator drew them."""


def svd(teacher_embedding: Tensor, vocabulary: Vocabulary, width: int) -> Tensor:
    """The teacher's embedding projected on its leading right singular vectors.

    XtremeDistil (arXiv 2004.05686, section 3) starts its student so. The mean of the rows is taken
    out first, because it is the same for all pieces and would fill the first dimension, and the
    whole is scaled to a standard deviation of :data:`SCALE`: both are ours. The padding row is 0.

    Raises:
        BadSetting: more dimensions are asked for than the teacher has.
    """
    matrix = torch.as_tensor(teacher_embedding, dtype=torch.float32)
    if width > matrix.shape[1]:
        raise BadSetting(
            f"embedding_dim = {width}: the teacher's embedding has only "
            f"{matrix.shape[1]} dimensions"
        )
    matrix = matrix - matrix.mean(dim=0)
    # The right singular vectors are the eigenvectors of the small Gram matrix: [width, width]
    # instead of [pieces, pieces].
    _, vectors = torch.linalg.eigh((matrix.T @ matrix).double())
    leading = vectors.flip(1)[:, :width].float()
    leading = leading * leading.sum(dim=0).sign()  # an eigenvector's sign is arbitrary; fix it
    rows = matrix[list(vocabulary.teacher_ids)] @ leading
    rows = rows * (SCALE / rows.std())
    rows[PAD] = 0.0
    return rows
