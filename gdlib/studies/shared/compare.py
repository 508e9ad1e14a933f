"""What studies of classifiers share when they compare: the score, and the sizes that are swept
over.
"""

from typing import Any

from gdlib.compare.scores import ACCURACY, BALANCED, MACRO_F1
from gdlib.compare.tables import Comparison, Pairs
from gdlib.studies.shared.study import Study


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
