"""Detection of machine-made paraphrases, part of study 3: the results of one run."""

from itertools import product
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load_file
from scipy.special import softmax

from gdlib.compare.results import Results, of_classifiers
from gdlib.core.store import Artifact
from gdlib.studies.paraphrase.detectors import LOGITS, NOTES, Detectors
from gdlib.studies.paraphrase.settings import PLAN, STUDENT, TFIDF

SHOWN = ("parameters", "steps", "seconds", "held_out", "learnt_from")


class Trial(NamedTuple):
    """One detector: its kind, the spinner whose paraphrases it is trained on, its model seed."""

    detector: str
    spinner: str
    seed: int


class ParaphraseStudy(Detectors):
    """One run: one corpus to train on, one draw of its texts, every detector on every spinner;
    tested on all domains.
    """

    plan = PLAN

    @property
    def trials(self) -> list[Trial]:
        s = self.settings
        return [Trial(*each) for each in product(s.detectors, s.spinners, s.model_seeds)]

    def detector(self, trial: Trial) -> Artifact:
        """A trained detector."""
        if trial.detector == TFIDF:
            return self.tfidf_detector(trial.spinner)
        if trial.detector == STUDENT:
            return self.student_detector(trial.spinner, trial.seed)
        return self.encoder_detector(*trial)

    def train(self) -> None:
        """Train what is not in the store yet, several detectors at a time; students after the
        encoders.
        """
        s, names = self.settings, self.compared_encoders
        if TFIDF in s.detectors:
            self.make_all("tfidf_detector", product(s.spinners), TFIDF)
        if set(s.detectors) - {TFIDF}:
            self.make_encoders(names, self.encoder_seeds.values())
            cells = product(names, s.spinners, s.model_seeds)
            self.make_all("encoder_detector", cells, "fine-tuning")
        if STUDENT in s.detectors:
            self.make_all("student_detector", product(s.spinners, s.model_seeds), "students")

    def results(self) -> Results:
        """Every detector on every test text; ``arm`` is the spinner whose paraphrases it was
        trained on. Trains what is missing.
        """
        self.train()
        s, rows, probabilities = self.settings, [], []
        same = {"corpus": s.corpus, "labels_per_class": s.train_texts, "seed": s.seed}
        for trial in self.trials:
            made = self.detector(trial)
            notes = made.json(NOTES)
            columns = {
                "student": trial.detector,
                "arm": trial.spinner,
                "student_seed": trial.seed,
                "size": s.train_texts,
                **{name: notes.get(name) for name in SHOWN},
            }
            logits = load_file(made / LOGITS)["test"].astype(np.float64)
            rows.append(same | columns)
            probabilities.append(softmax(logits, axis=-1))
        return of_classifiers(rows, probabilities, self.cases.drop(columns="text"))
