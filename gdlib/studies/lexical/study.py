"""Lexical knowledge, part of study 3: one run of it, its artifacts, and what its notebooks show of
them.
"""

import dataclasses
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gdlib.compare.results import TOGETHER, Results
from gdlib.core.artifacts import artifact, derived
from gdlib.networks import gloss_vectors, pairs
from gdlib.networks.lexical_arms import ARMS
from gdlib.networks.lexical_models import LexicalModel, VectorModel
from gdlib.networks.lexical_plans import LexicalPlan
from gdlib.networks.sense_coding import Coder
from gdlib.sources import senses as wsd
from gdlib.sources import zoo
from gdlib.sources.senses import Instance, SenseData
from gdlib.studies.lexical import baselines
from gdlib.studies.lexical.baselines import FREQUENCY
from gdlib.studies.lexical.settings import PLAN, Settings
from gdlib.studies.shared.encoders import LexicalEncoders
from gdlib.studies.shared.settings import ArmSettings, part_of

CHOSEN_ON = "held-out"
"""The part that weights are chosen by: shown, never among the test sets."""

BEGINNING = ("mlm_frequency_loss", "mlm_head_loss", "wsd_gradient", "mlm_gradient")
"""What :mod:`gdlib.networks.lexical_mlm` notes in the history of a model."""


def on_tests(results: Results) -> Results:
    """The results on the test sets, without the part that is chosen by."""
    return results.where(results.items["part"] != CHOSEN_ON)


def judge(scores: Sequence[np.ndarray], instances: Sequence[Instance]) -> np.ndarray:
    """1 where the candidate with the largest score (the first of equal ones) is right, 0 where not
    or where there is none. *Shape:* ``[instances]``.
    """
    pairs = zip(scores, instances, strict=True)
    return np.array([float(len(s) > 0 and each.gold[int(np.argmax(s))]) for s, each in pairs])


class LexicalStudy(LexicalEncoders):
    """One run: one data set, one seed."""

    plan = PLAN
    settings: Settings

    @derived
    def arm_settings(self) -> ArmSettings:
        """What decides single arms."""
        return part_of(self.settings, ArmSettings)

    @derived
    def data(self) -> SenseData:
        """What is trained on, and what is asked: the held-out part and the tests, at most so many
        of each.

        The tests are the same for every seed.
        """
        size, whole = self.settings.test_instances, self.senses
        held_out, *tests = (
            wsd.sample(part, size, wsd.SENSES_TEST_SEED)
            for part in (whole.held_out, *whole.tests.values())
        )
        asked = {"held_out": held_out, "tests": dict(zip(whole.tests, tests))}
        return dataclasses.replace(self.sense_training, **asked, dropped=whole.dropped)

    @derived
    def questions(self) -> SenseData:
        """What every method answers: the held-out part (for the eye), and the tests."""
        return dataclasses.replace(self.data, train=[])

    @property
    def questioned(self) -> list[Instance]:
        """The instances of :attr:`questions`, one part after the other."""
        return [instance for part in self.questions.parts.values() for instance in part]

    @property
    def chosen_by(self) -> np.ndarray:
        """Which of the questioned instances things are chosen on. *Shape:* ``[instances]``."""
        parts = self.questions.parts.items()
        return np.concatenate([np.full(len(each), name == CHOSEN_ON) for name, each in parts])

    # ---- answers

    def model_plan(self, name: str, model_seed: int | None = None) -> LexicalPlan:
        """How the model of an arm is trained, by the arm's name; of the first model seed unless
        another is given.
        """
        seeds = self.settings.model_seeds
        return self.lexical_plan(ARMS[name], seeds[0] if model_seed is None else model_seed)

    def coder(self, plan: LexicalPlan) -> Coder:
        """What makes the inputs of a model of that plan."""
        return plan.coder(zoo.tokenizer(self.pretrained))

    def scores(self, plan: LexicalPlan, instances: Sequence[Instance]) -> list[np.ndarray]:
        """What a trained model gives each candidate of some instances."""
        folder, coder = self.lexical_model(plan).path, self.coder(plan)
        if plan.form == "vectors":
            model, coded = VectorModel.load(folder), coder.code(instances, "lemma")
            return gloss_vectors.scores(model, coder, coded, plan.word_vector == "sentence")
        return pairs.scores(LexicalModel.load(folder), coder, coder.code(instances))

    @artifact(
        "train",
        needs=("pretrained", "questions"),
        given={"model": lambda study, plan: study.lexical_model(plan)},
    )
    def sense_answers(self, folder: Path, plan: LexicalPlan) -> None:
        """Which of the questions one trained model answers right, by its scores alone and with the
        senses' frequency beside them. *Shape:* ``[2, instances]``.
        """
        instances = self.questioned
        scores = self.scores(plan, instances)
        both = scores, baselines.weighed(scores, instances, self.chosen_by)
        np.save(folder / "right.npy", np.stack([judge(each, instances) for each in both]))
        np.save(folder / "scores.npy", np.concatenate(scores))

    @artifact("senses", "seed", "max_length", "gloss_text", needs=("pretrained", "questions"))
    def sense_baselines(self, folder: Path) -> None:
        """The answers of what needs no training."""
        s, instances = self.settings, self.questioned
        scores = {
            "random": baselines.at_random(instances, s.seed),
            "first sense": baselines.first_sense(instances),
            "Lesk": baselines.lesk(instances),
            "similarity": gloss_vectors.similarity(
                self.pretrained, instances, s.max_length, s.gloss_text
            ),
        }
        weighed = baselines.weighed(scores["similarity"], instances, self.chosen_by)
        scores["similarity" + FREQUENCY] = weighed
        rows = [{"arm": name, "seed": s.seed, "model_seed": -1, "steps": 0} for name in scores]
        right = np.stack([judge(of_method, instances) for of_method in scores.values()])
        items = [
            (part, each.id, each.pos, len(each.candidates), " ".join(each.tokens))
            for part, of_part in self.questions.parts.items()
            for each in of_part
        ]
        described = pd.DataFrame(items, columns=["part", "id", "pos", "candidates", TOGETHER])
        Results(pd.DataFrame(rows), right, described).save(folder)

    @derived
    def baselines(self) -> Results:
        """What needs no training."""
        return Results.load(self.sense_baselines().path)

    def results(self) -> Results:
        """Every baseline, every arm and model seed, alone and with the senses' frequency: 1 where
        an answer is right. What is missing is trained now, several models at a time.
        """
        s, base = self.settings, self.baselines
        cells = [(name, seed) for name in s.arms for seed in s.model_seeds]
        plans = [self.model_plan(*cell) for cell in cells]
        models = self.make_models(plans)
        answers = self.make_all("sense_answers", [(plan,) for plan in plans], "answers")
        rows = [
            {"arm": name + how, "seed": s.seed, "model_seed": seed}
            | {"steps": model.json("history.json")["best_step"]}
            for (name, seed), model in zip(cells, models)
            for how in ("", FREQUENCY)
        ]
        table = pd.concat([base.table, pd.DataFrame(rows)], ignore_index=True)
        right = [np.load(answer / "right.npy") for answer in answers]
        return Results(table, np.concatenate([base.outputs, *right]), base.items)

    def over_seeds(self, **changes: Any) -> Results:
        """The results of every seed; without the held-out part where each has another."""
        runs = [study.results() for study in self.each_seed(**changes)]
        alike = all(run.items.equals(runs[0].items) for run in runs)
        return Results.stack(runs if alike else [on_tests(run) for run in runs])

    # ---- what the notebooks show

    def second_losses(self) -> pd.DataFrame:
        """How masked language modelling began in every model that has it: arm, model_seed, and the
        notes of :mod:`gdlib.networks.lexical_mlm`.
        """
        rows = []
        for name, seed in product(self.settings.arms, self.settings.model_seeds):
            if ARMS[name].mlm:
                history = self.lexical_model(self.model_plan(name, seed)).json("history.json")
                rows.append(
                    {"arm": name, "model_seed": seed} | {key: history[key] for key in BEGINNING}
                )
        return pd.DataFrame(rows)

    def dictionary(self) -> pd.DataFrame:
        """The training words with the most senses of each part of speech: lemma, pos, rank, gloss,
        tagged (occurrences).
        """
        most: dict[str, Instance] = {}
        for instance in self.data.train:
            best = most.setdefault(instance.pos, instance)
            if len(instance.candidates) > len(best.candidates):
                most[instance.pos] = instance
        senses = [sense for instance in most.values() for sense in instance.candidates[:4]]
        rows = [(s.lemma, s.pos, s.rank, s.definition, s.tag_count) for s in senses]
        return pd.DataFrame(rows, columns=["lemma", "pos", "rank", "gloss", "tagged"])

    def example_pair(self) -> pd.DataFrame:
        """The pairs of one training instance as the encoder reads them, and whether the gloss is
        right.
        """
        instance = min(self.data.train, key=lambda each: abs(len(each.candidates) - 3))
        columns = {}
        for name in ("LMGC", "gloss pairs"):
            coder = self.coder(self.model_plan(name))
            (coded,) = coder.code([instance])
            pieces = [coder.pair(coded, place)[0] for place in range(len(coded.glosses))]
            columns[name] = coder.tokenizer.batch_decode(pieces)
        return pd.DataFrame(columns | {"right": instance.gold})
