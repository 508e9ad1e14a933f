"""A second round of generated texts, beyond the paper: what a student has not understood is asked
for again.

A first student learns from half of the generated texts. Those of them on which it and the teacher
disagree most give the beginnings of new texts, which the same generator writes and the same funnel
and teacher judge. The arm ``feedback`` learns from both halves, and so from about as many texts as
the main arm: the difference of the two is what the choice of the beginnings is worth.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax

from gdlib.core.artifacts import artifact, derived
from gdlib.core.store import Artifact
from gdlib.networks import distillation
from gdlib.networks.arms import ARMS, Arm, arms
from gdlib.networks.lessons import Source
from gdlib.sources.corpora import Part
from gdlib.studies.generation.one_student import STUDENT_KNOBS, OneStudent
from gdlib.studies.shared import samples
from gdlib.studies.shared.study import Texts
from gdlib.studies.shared.writing import SAMPLES, SAMPLING, written_in

FEEDBACK = "feedback"
SHARE = 4
"""One in so many of the first round's texts gives a beginning: those that are disputed most."""


def first_round() -> Arm:
    """The arm of the student whose mistakes are asked about: as many generated texts as
    ``feedback`` has of the first round.
    """
    return arms((), (ARMS[FEEDBACK].divisor,))[0]


def disputed(table: pd.DataFrame, student_logits: np.ndarray, share: int = SHARE) -> pd.DataFrame:
    """The texts on which teacher and student are furthest apart, in total variation.

    *Shape:* student_logits ``[texts, classes]``.

    Args:
        table: ``text`` and ``teacher_logits`` of the texts.
        share: one in so many is taken, the most disputed first.
    """
    teacher = softmax(np.stack(table["teacher_logits"].tolist()), axis=1)
    apart = np.abs(teacher - softmax(student_logits, axis=1)).sum(axis=1) / 2
    return table.iloc[np.argsort(-apart, kind="stable")[: -(-len(table) // share)]]


class FeedbackStudy(OneStudent):
    """Writes and judges the second round."""

    @derived
    def first_student(self) -> Artifact:
        """The student of the first round."""
        s = self.settings
        return self.trained_student(s.students[0], first_round(), s.student_seeds[0])

    @artifact(
        "students",
        *(*SAMPLING, *STUDENT_KNOBS, "students", "feedback_tokens"),
        needs=("trained_generator", "trained_teacher", "judged_samples", "vocabulary")
        + ("class_names", "first_student"),
    )
    def second_samples(self, folder: Path) -> None:
        """Half as many texts as were asked for in the first round, each with the beginning of a
        disputed one.
        """
        kept = self.samples().query("fate == 'kept'")
        kept = kept.head(-(-len(kept) // first_round().divisor))
        student = self.loaded(self.settings.students[0], self.first_student)
        logits = distillation.predict(student, self.rows(kept["text"].tolist())).numpy()
        chosen = disputed(kept, logits)
        part = Part(chosen["text"].tolist(), chosen["teacher_label"].tolist())
        plan = replace(
            self.sampling_plan,
            num_samples=self.settings.num_samples // first_round().divisor,
            prefix_tokens=self.settings.feedback_tokens,
        )
        samples.generate(self.generator, part, plan, folder / SAMPLES)

    @derived
    def written_again(self) -> Texts:
        """What is written in the second round, for the teacher to judge."""
        return written_in(self.second_samples() / SAMPLES)

    @artifact(
        "students",
        *("near_duplicate", "overlap_words", "min_confidence", "balance"),
        needs=("second_samples", "splits", "judged_samples"),
        given={"signals": lambda study: study.teacher_signals(study.written_again)},
    )
    def judged_again(self, folder: Path) -> None:
        """The second round with its fates and the teacher's view; what is a near-duplicate of the
        first round is dropped too.
        """
        raw = samples.read(self.second_samples() / SAMPLES)
        known = [*self.splits.labelled.texts, *self.samples().query("fate == 'kept'")["text"]]
        table = self.through_the_funnel(raw, known, self.written_again)
        table.to_parquet(folder / "samples.parquet", index=False)

    @derived
    def feedback(self) -> Source:
        """The texts of the second round that passed the funnel; none where the first has none."""
        if not len(self.generated):
            return self.generated
        return self.kept_of(pd.read_parquet(self.judged_again() / "samples.parquet"))
