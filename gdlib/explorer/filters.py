"""What a person can ask the explorer to show, and in which order."""

from dataclasses import dataclass

KEPT, IN_TEST = "kept", "in test set"
STUDENT = ("agrees", "differs")
GENERATED = "generated"
FAR = "distance of generated from real"
BY_GROUP = "size of its group of near-duplicates"
SOURCES = (GENERATED, "labelled", "real")  # explorer_map.js knows them by their numbers
# What texts are sorted by: the column of the view's frame.
SORTS = {
    "order generated": "row",
    "teacher's confidence": "confidence",
    "teacher's entropy": "entropy",
    "length in words": "words",
    "distance of student from teacher": "gap",
    FAR: "distance",
    BY_GROUP: "alike",
}


@dataclass(frozen=True)
class Filters:
    """What to show and in which order; an empty filter lets every text pass.

    Args:
        search: words that must all occur, as they stand, in either case; ``"two words"`` in quotes
            are one phrase.
        source: "generated", "labelled" or "real" (unlabelled).
        fate: what became of the text in the funnel ("kept", "duplicate", ...).
        label, guess: names of the teacher's and of the student's class.
        student: "agrees" or "differs", by the teacher's class; a text without one does not pass.
        mark: "keep", "drop", "note" (has one) or "unmarked" (neither mark nor note).
        confidence, entropy: lowest and highest of the teacher's confidence and of the entropy of
            its distribution, in nats; a text that it never saw does not pass.
        words: fewest and most words.
        group: row of the first text of a group of near-duplicates, or -1: those of all groups.
        brush: lowest x and y, highest x and y of a rectangle on the map; a text without a place
            does not pass.
        sort: one of :data:`SORTS`; texts without the value come last either way.
        descending: largest first.
    """

    search: str = ""
    source: str = GENERATED
    fate: str = ""
    label: str = ""
    guess: str = ""
    student: str = ""
    mark: str = ""
    confidence: tuple[float, float] | None = None
    entropy: tuple[float, float] | None = None
    words: tuple[float, float] | None = None
    group: int | None = None
    brush: tuple[float, ...] = ()
    sort: str = "order generated"
    descending: bool = False
