"""Arms of distillation: which texts a student sees and what it is taught about them, as data;
nothing here loads torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gdlib.core.errors import unknown


@dataclass(frozen=True)
class Arm:
    """Which texts a student sees, and what it is taught about them.

    Args:
        name: as it stands in every table and figure.
        sources: of ``labelled``, ``generated``, ``real`` (unlabelled texts of the corpus).
        target: ``gold`` labels; the teacher's ``soft`` logits; or ``hard``: the teacher's most
            likely class on unlabelled texts, gold on labelled ones.
        divisor: of the generated texts only one in so many is used.
        help: one line.
    """

    name: str = field(metadata={"label": True})
    sources: tuple[str, ...]
    target: str
    divisor: int = 1
    help: str = field(default="", metadata={"label": True})


MAIN_ARM = "generation-distillation"
ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm(
            "labelled only",
            ("labelled",),
            "gold",
            help="gold labels, no teacher: what the student can do alone",
        ),
        Arm(
            "distilled on labelled",
            ("labelled",),
            "soft",
            help="the teacher's logits on the labelled texts",
        ),
        Arm(
            MAIN_ARM,
            ("labelled", "generated"),
            "soft",
            help="the paper's arm: logits on labelled and generated texts",
        ),
        Arm(
            "hard labels",
            ("labelled", "generated"),
            "hard",
            help="the same texts with the teacher's argmax",
        ),
        Arm(
            "real unlabelled",
            ("labelled", "real"),
            "soft",
            help="as many real unlabelled texts: the ceiling",
        ),
        Arm("generated + real", ("labelled", "generated", "real"), "soft", help="both"),
    )
}


def arms(names: Sequence[str], divisors: Sequence[int]) -> list[Arm]:
    """The named arms, then the sweep over the number of generated texts (``generated /k``).

    Raises:
        UnknownName: an arm that is not known.
    """
    for name in names:
        if name not in ARMS:
            raise unknown("arm", name, ARMS)
    main = ARMS[MAIN_ARM]
    sweep = [
        Arm(f"generated /{k}", main.sources, main.target, k, f"one in {k} of the generated texts")
        for k in divisors
    ]
    return [ARMS[name] for name in names] + sweep
