"""Detection of machine-made paraphrases, part of study 3: the results of one run."""

from itertools import product

import numpy as np
from safetensors.numpy import load_file
from scipy.special import softmax

from gdlib.compare.results import Results, of_classifiers
from gdlib.core.store import Artifact
from gdlib.studies.paraphrase.detectors import LOGITS, NOTES, Detectors
from gdlib.studies.paraphrase.settings import PLAN, STUDENT, TFIDF

SHOWN = ("parameters", "steps", "held_out", "learnt_from")


class ParaphraseStudy(Detectors):
    """One run: one corpus to train on, one draw of its texts, every detector on every spinner;
    tested on all domains.
    """

    plan = PLAN

    def detector(self, kind: str, trained: str, seed: int) -> Artifact:
        """A trained detector, by what it was trained on and its model seed."""
        if kind == TFIDF:
            return self.tfidf_detector(trained)
        if kind == STUDENT:
            return self.student_detector(trained, seed)
        return self.encoder_detector(kind, trained, seed)

    def train(self) -> None:
        """Train what is not in the store yet, several networks at a time; students after the
        encoders.
        """
        s, names = self.settings, self.compared_encoders
        if set(s.detectors) - {TFIDF}:
            self.make_encoders(names, self.encoder_seeds.values())
            cells = product(names, self.trained_on, s.model_seeds)
            self.make_all("encoder_detector", cells, "fine-tuning")
        if STUDENT in s.detectors:
            self.make_all("student_detector", product(self.trained_on, s.model_seeds), "students")

    def results(self) -> Results:
        """Every detector on every test text; ``arm`` is what it was trained on. Trains what is
        missing.
        """
        self.train()
        s, rows, probabilities = self.settings, [], []
        run = {"corpus": s.corpus, "labels_per_class": s.train_texts, "seed": s.seed}
        for kind, trained, seed in product(s.detectors, self.trained_on, s.model_seeds):
            made = self.detector(kind, trained, seed)
            notes = dict.fromkeys(SHOWN) | made.json(NOTES) | {"seconds": made.seconds}
            columns = {"student": kind, "arm": trained, "student_seed": seed}
            rows.append(run | columns | {"size": s.train_texts} | notes)
            logits = load_file(made / LOGITS)["test"].astype(np.float64)
            probabilities.append(softmax(logits, axis=-1))
        return of_classifiers(rows, probabilities, self.cases.drop(columns="text"))
