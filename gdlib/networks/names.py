"""The names of students, of starts, of poolings and of spinners, each with what it stands for;
nothing here loads torch.

To add a student, write its class and ``add`` its name, here or from outside of the library: it is
then a choice of every knob that takes such a name.
"""

from gdlib.core.registry import Registry

STUDENTS = Registry("student")
"""Subclasses of :class:`gdlib.networks.students.Student`, built to a parameter budget."""
STUDENTS.add(
    "BlendCNN",
    "gdlib.networks.students:BlendCNN",
    "A stack of same-padded convolutions; the pools of *all* layers are joined (Chia et al. 2019).",
)
STUDENTS.add(
    "KimCNN",
    "gdlib.networks.students:KimCNN",
    "Convolutions of widths 3, 4 and 5 side by side, each max-pooled over time (Kim 2014).",
)
STUDENTS.add(
    "ResCNN",
    "gdlib.networks.students:ResCNN",
    "A projection, then residual blocks of two convolutions of width 3, max-pooled.",
)

EMBEDDINGS = Registry("embedding")
"""Starts of a student's embedding, see :mod:`gdlib.networks.embeddings`."""
EMBEDDINGS.add(
    "outputs",
    "gdlib.networks.embeddings:outputs",
    "the fine-tuned teacher's output for each word piece alone, reduced",
)
EMBEDDINGS.add(
    "svd", "gdlib.networks.embeddings:svd", "the fine-tuned teacher's input embeddings, reduced"
)
EMBEDDINGS.add("random", "gdlib.networks.embeddings:random", "as it was drawn")

PROJECTIONS = Registry("projection")
"""What follows the linear layer between a student's states and the teacher's."""
PROJECTIONS.add("linear", "gdlib.networks.recurrent:unchanged", "nothing: any value can be given")
PROJECTIONS.add(
    "gelu", "torch.nn.functional:gelu", "GELU as in the papers, which gives no value below -0.17"
)

POOLINGS = Registry("teacher_pooling")
"""``pooling(states, mask)``: ``[texts, length, width]``, ``[texts, length]`` -> ``[texts, width]``.
"""
POOLINGS.add("cls", "gdlib.networks.encoders:first_state", "the state at the first position")
POOLINGS.add("mean", "gdlib.networks.encoders:mean_state", "the mean over all positions of a text")

BODIES = {
    "frozen": "the head alone is trained",
    "full": "the layers too, after the head",
}
"""What is trained of a teacher of masked language modelling that has no head."""

STARTS = {
    "teacher": "the lowest layers of the first teacher, under a head fitted to them",
    "scratch": "a new, narrow BERT",
}
"""Where a student of masked language modelling starts."""

PAIR_POOLINGS = {
    "cls": "the encoder's own classification head, on its pooled first piece",
    "parts": "linear in [u, v, |u - v|, u * v] of the mean states of the two parts",
}
"""What a head over one text or a pair of texts reads."""

SPINNERS = Registry("spinner")
"""Objects of :class:`gdlib.networks.spinners.Spinner`."""
SPINNERS.add(
    "dictionary",
    "gdlib.networks.spinners:DICTIONARY",
    "synonyms of WordNet, at a given frequency",
)
SPINNERS.add(
    "masked-lm",
    "gdlib.networks.spinners:MASKED_LM",
    "words hidden and filled in by a masked language model",
)
SPINNERS.add(
    "structure",
    "gdlib.networks.spinners:STRUCTURE",
    "sentences, clauses and phrases of function words, by rules; content words stay",
)
