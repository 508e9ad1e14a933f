"""Ways to learn which gloss is meant, and the encoders that they leave, by name; without torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """A way to learn which gloss is meant.

    Args:
        name: as it stands in every table and figure.
        form: ``pairs`` (one pass per candidate) or ``vectors`` (one pass per word, or per sentence
            where words are not marked; :mod:`gdlib.networks.gloss_vectors`).
        marked: with quotes around the target and its name before the gloss, as in LMGC.
        mlm: with masked language modelling beside it.
        target: ``gold`` labels, or the ``soft`` pair logits of the trained teacher.
        small: a student of few layers.
        help: one line.
    """

    name: str
    form: str
    marked: bool = True
    mlm: bool = False
    target: str = "gold"
    small: bool = False
    help: str = ""


ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("LMGC", "pairs", help="the paper's: is this the right gloss, pair by pair"),
        Arm(
            "LMGC-M",
            "pairs",
            mlm=True,
            help="the paper's: the same beside masked language modelling",
        ),
        Arm(
            "gloss pairs",
            "pairs",
            marked=False,
            help="GlossBERT's plain form (Sent-CLS): sentence and gloss, the target not marked",
        ),
        Arm("gloss vectors", "vectors", help="ours: one pass per word, the glosses' vectors kept"),
        Arm(
            "gloss vectors (sentence)",
            "vectors",
            marked=False,
            help="ours: one pass per sentence for all its words, which are not marked",
        ),
        Arm("small (gold)", "pairs", small=True, help="few layers, gold labels, no teacher"),
        Arm(
            "small (distilled)",
            "pairs",
            target="soft",
            small=True,
            help="few layers, the pair logits of a trained model",
        ),
    )
}

PLAIN, DISTILLED = "plain", "distilled"
ENCODERS: dict[str, Arm | None] = {
    PLAIN: None,
    **{name: arm for name, arm in ARMS.items() if arm.form == "pairs" and not arm.small},
    DISTILLED: ARMS["small (distilled)"],
}
"""Encoders to fine-tune on other tasks, and how each was trained; None: as it was pretrained."""
HELP = {
    name: arm.help if arm else "the pretrained encoder as it is" for name, arm in ENCODERS.items()
}
