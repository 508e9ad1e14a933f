"""What the embeddings of students start from, worked out once for all students of a run."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from gdlib.core.artifacts import artifact
from gdlib.core.study import Study
from gdlib.networks import embeddings

VECTORS = "vectors.safetensors"
STARTED = {"piece_vectors": lambda study, *_: study.piece_vectors(study.settings.embedding)}
"""Among the ``given`` of an artifact whose students all start as the knob ``embedding`` says."""


class EmbeddingStarts(Study):
    """Keeps a vector of every piece that students know.

    The study has a ``teacher``, its artifact ``trained_teacher``, and the students' ``vocabulary``.
    """

    @artifact("students", needs=("trained_teacher", "vocabulary"))
    def piece_vectors(self, folder: Path, embedding: str) -> None:
        """The vectors that a named start gives (:mod:`gdlib.networks.embeddings`), if any."""
        vectors = embeddings.piece_vectors(embedding, self.teacher, self.vocabulary)
        save_file({} if vectors is None else {"vectors": vectors.contiguous()}, folder / VECTORS)

    def vectors_of(self, embedding: str) -> torch.Tensor | None:
        """The same, read; None where the embeddings are random. *Shape:* ``[pieces, width]``."""
        return load_file(self.piece_vectors(embedding) / VECTORS).get("vectors")
