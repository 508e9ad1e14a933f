"""Arms of distillation as data: which texts a student sees and what it learns about them; nothing
here loads torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gdlib.core.registry import Registry


@dataclass(frozen=True)
class Arm:
    """Which texts a student sees, and what it learns about them.

    Args:
        name: as it stands in every table and figure.
        sources: of ``labelled``, ``generated``, ``real`` (unlabelled texts of the corpus), ``real
            mix`` (real ones with the generated texts' mix of classes), ``scraps``, ``feedback``
            (generated in a second round, see :mod:`gdlib.studies.generation.feedback`).
        target: ``gold`` labels; the teacher's ``soft`` logits; or ``hard``: the teacher's most
            likely class on unlabelled texts, gold on labelled ones.
        help: one line.
        divisor: only one in so many of the generated texts is used.
    """

    name: str = field(metadata={"label": True})
    sources: tuple[str, ...]
    target: str
    help: str = field(default="", metadata={"label": True})
    divisor: int = 1


MAIN_ARM = "generation-distillation"
LABELLED, GENERATED, REAL = ("labelled",), ("labelled", "generated"), ("labelled", "real")

ARMS = Registry("arm")
for entry in (
    Arm(
        "labelled only", LABELLED, "gold", "gold labels, no teacher: what the student can do alone"
    ),
    Arm("distilled on labelled", LABELLED, "soft", "the teacher's logits on the labelled texts"),
    Arm(MAIN_ARM, GENERATED, "soft", "the paper's arm: logits on labelled and generated texts"),
    Arm("hard labels", GENERATED, "hard", "the same texts with the teacher's argmax"),
    Arm("real unlabelled", REAL, "soft", "as many real unlabelled texts: the ceiling"),
    Arm(
        "real (generated mix)",
        ("labelled", "real mix"),
        "soft",
        "real texts with as many of each class, by the teacher, as were generated",
    ),
    Arm("generated + real", (*GENERATED, "real"), "soft", "both"),
    Arm(
        "scraps",
        ("labelled", "scraps"),
        "soft",
        "as many words, pairs, crops and splices of the labelled texts: no language model",
    ),
    Arm("generated + scraps", (*GENERATED, "scraps"), "soft", "both"),
    Arm(
        "feedback",
        (*GENERATED, "feedback"),
        "soft",
        "half of the generated texts, and as many that begin like those on which teacher and "
        "student disagree most",
        2,
    ),
):
    ARMS.add(entry.name, entry, entry.help)


def arms(names: Sequence[str], divisors: Sequence[int]) -> list[Arm]:
    """The named arms, then the sweep over the number of generated texts (``generated /k``).

    Raises:
        UnknownName: an arm that is not known.
    """
    main = ARMS[MAIN_ARM]
    sweep = [
        Arm(f"generated /{k}", main.sources, main.target, f"one in {k} of the generated texts", k)
        for k in divisors
    ]
    return [ARMS[name] for name in names] + sweep
