"""What studies of students share when they compare: the score, the sizes that are swept over, and
the sentences that a report begins with.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gdlib.compare.scores import ACCURACY, BALANCED, MACRO_F1
from gdlib.compare.tables import Comparison, Pairs
from gdlib.studies.shared.study import Study

OPENINGS = {
    ("D1", "D0"): "The teacher's logits beside the labels (D1 minus D0) change the score",
    ("D3.1", "D1"): "Its states, learnt before the logits (D3.1 minus D1), change it",
    ("D4.2", "D4.1"): "Gradual unfreezing (D4.2 minus D4.1) changes it",
}
"""What the abstract of a study of strategies says of some differences."""


def of_classifiers(alone: str = "labelled only", questions: Pairs = ()) -> Comparison:
    """Students compared by accuracy, balanced accuracy and macro-F1 in words beside it.

    Args:
        alone: the arm that learns from gold labels alone.
        questions: the differences that the study is about.
    """
    return Comparison(
        ACCURACY,
        panel="student",
        questions=questions,
        means=("size", "balanced_accuracy", "macro_f1", "agreement", "ece")
        + ("calibrated_ece", "parameters"),
        against={"minus labels": alone, "minus tfidf-lr": "tfidf-lr", "minus teacher": "teacher"},
        beside={"balanced accuracy": BALANCED, "macro-F1": MACRO_F1},
    )


def by_size(study: Study, knob: str) -> dict[int, Any]:
    """The results over seeds at every size of ``labels_sweep`` and the study's own.

    ``knob``: the setting that is the size.
    """
    settings = study.settings
    sizes = sorted({getattr(settings, knob), *settings.labels_sweep})
    return {size: study.over_seeds(**{knob: size}) for size in sizes}


def around(row: Mapping[str, float] | pd.Series) -> str:
    """A share with its interval: ``72.4% [70.8, 74.0]``."""
    return f"{row['value']:.1%} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def in_sentences(
    lead: str,
    main: pd.Series,
    teacher: pd.Series,
    answers: pd.DataFrame,
    openings: Mapping[tuple[str, str], str],
    score: str = "an accuracy",
) -> str:
    """What a comparison found, in sentences written from its tables.

    Args:
        lead: the first sentence's subject: which student learns from what.
        main: its row of :meth:`Comparison.overview`.
        teacher: the teacher's row.
        answers: differences (:meth:`Comparison.differences`).
        openings: the two arms of a difference to what the sentence says before the number.
        score: what the values are.
    """
    times = f"{teacher['parameters'] / main['parameters']:.0f} times fewer parameters"
    sentences = [
        f"{lead} has {score} of {around(main)}. That is "
        f"{main['retention']:.1%} of its teacher's {teacher['value']:.1%}, with {times}."
    ]
    for row in answers.to_dict("records"):
        if opening := openings.get((row["left"], row["right"])):
            sentences.append(f"{opening} by {row['words']}.")
    return " ".join(sentences)
