"""Lexical knowledge, part of study 3: one run of it, its artifacts, and what its notebooks show of
them.
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from gdlib.compare import sense_results as results
from gdlib.compare.sense_results import CHOSEN_ON, Answers
from gdlib.core.code import code_digest
from gdlib.core.processes import in_processes, together
from gdlib.core.store import Artifact, Store
from gdlib.learn.losses import DistillationLoss
from gdlib.networks import gloss_vectors
from gdlib.networks import pairs as lexical
from gdlib.networks.lexical_arms import ARMS, GOLD_ONLY, Arm, LexicalPlan
from gdlib.networks.pairs import LexicalModel
from gdlib.networks.sense_coding import Coder
from gdlib.sources import senses as wsd
from gdlib.sources import zoo
from gdlib.sources.senses import Instance, SenseData
from gdlib.studies.lexical import baselines as sense_baselines
from gdlib.studies.lexical.settings import PLAN, Settings
from gdlib.studies.shared.study import Study


class LexicalStudy(Study):
    """One run: one data set, one seed. Each method gives the finished thing and makes it if it is
    not in the store.

    Args:
        settings: the parameters.
        store: where artifacts are.
    """

    plan = PLAN
    settings: Settings

    @cached_property
    def data(self) -> SenseData:
        """What is trained on, chosen by and tested on: draws of the sizes asked for.

        The tests are the same for every seed.
        """
        s = self.settings
        whole = wsd.load(s.corpus, s.seed)
        tests = {
            name: wsd.sample(part, s.test_instances, wsd.TEST_SEED)
            for name, part in whole.tests.items()
        }
        learnt = [one for one in whole.train if one.teaches]
        held_out = wsd.sample(whole.held_out, s.held_out_instances, s.seed)
        return SenseData(
            whole.name,
            wsd.sample(learnt, s.train_instances, s.seed),
            held_out,
            tests,
            whole.dropped,
        )

    @property
    def asked(self) -> dict[str, list[Instance]]:
        """The parts on which every method answers: held-out (for the eye), and the tests."""
        return {CHOSEN_ON: self.data.held_out, **self.data.tests}

    # ---- models

    def plan_of(self, arm: Arm, model_seed: int) -> LexicalPlan:
        """How an arm is trained."""
        s = self.settings
        soft = DistillationLoss(s.soft_loss, s.temperature, s.hard_weight, s.soft_weight)
        return LexicalPlan(
            epochs=s.small_epochs if arm.small else s.encoder_epochs,
            lr=s.small_lr if arm.small else s.encoder_lr,
            batch=s.encoder_batch,
            max_length=s.max_length,
            dropout=s.encoder_dropout,
            negatives=s.negatives,
            trained_layers=0 if arm.small else s.trained_layers,
            seed=int(np.random.SeedSequence([s.seed, model_seed]).generate_state(1)[0]),
            marked=arm.marked,
            pooling=s.pair_pooling,
            pair_loss=s.pair_loss,
            mlm=arm.mlm,
            mask_share=s.mask_share,
            mlm_head_steps=s.mlm_head_steps,
            layers=s.small_layers if arm.small else 0,
            word_vector=s.word_vector
            if arm.form == "vectors"
            else "target",  # others do not read it
            loss=soft if arm.target == "soft" else GOLD_ONLY,
        )

    def model_artifact(self, arm: Arm, model_seed: int) -> Artifact:
        """A trained model: the encoder as a network of the zoo, its heads, its history."""
        network, plan, data = (
            zoo.locate(self.settings.encoder),
            self.plan_of(arm, model_seed),
            self.data,
        )
        teacher = (
            self.model_artifact(ARMS[self.settings.distilled_from], model_seed)
            if arm.target == "soft"
            else None
        )
        recipe = {
            "plan": asdict(plan),
            "form": arm.form,
            "network": network.digest,
            "teacher": teacher.key if teacher else None,
            "train": wsd.digest_of(data.train),
            "held out": wsd.digest_of(data.held_out),
            "code": code_digest("gdlib.networks.pairs", "gdlib.networks.gloss_vectors"),
        }
        if arm.form == "vectors":
            call = (gloss_vectors.fine_tune, network, data.train, data.held_out, plan)
            return self.store.make("lexical", recipe, lambda folder: together(*call, folder))
        call = (lexical.fine_tune, network, data.train, data.held_out, plan)
        return self.store.make(
            "lexical",
            recipe,
            lambda folder: together(*call, folder, teacher.path if teacher else None),
        )

    def scores(self, arm: Arm, model_seed: int, instances: Sequence[Instance]) -> list[np.ndarray]:
        """What a trained arm gives each candidate of some instances."""
        folder, coder, whole = (
            self.model_artifact(arm, model_seed).path,
            self.coder(arm.marked),
            self.settings.word_vector == "sentence",
        )
        if arm.form == "vectors":
            return gloss_vectors.scores(
                gloss_vectors.VectorModel.load(folder),
                coder,
                coder.code(instances, prefix="lemma"),
                whole,
            )
        return lexical.scores(LexicalModel.load(folder), coder, coder.code(instances))

    def coder(self, marked: bool = True) -> Coder:
        return Coder(
            zoo.tokenizer(zoo.locate(self.settings.encoder)), self.settings.max_length, marked
        )

    # ---- answers

    def answers_of(self, arm: Arm, model_seed: int) -> Artifact:
        """Right or wrong on every part asked, of one trained model."""
        recipe = {
            "model": self.model_artifact(arm, model_seed).key,
            "asked": {name: wsd.digest_of(part) for name, part in self.asked.items()},
            "code": code_digest(
                "gdlib.networks.pairs",
                "gdlib.networks.gloss_vectors",
                "gdlib.compare.sense_results",
            ),
        }

        def build(folder: Path) -> None:
            instances = self._all_asked
            np.save(
                folder / "right.npy",
                results.judge(self.scores(arm, model_seed, instances), instances),
            )

        return self.store.make("sense-answers", recipe, build)

    @property
    def _all_asked(self) -> list[Instance]:
        return [one for part in self.asked.values() for one in part]

    @cached_property
    def baselines(self) -> Answers:
        """What needs no training."""
        s = self.settings
        recipe = {
            "asked": {name: wsd.digest_of(part) for name, part in self.asked.items()},
            "network": zoo.locate(s.encoder).digest,
            "settings": {"seed": s.seed, "max_length": s.max_length},
            "code": code_digest(
                "gdlib.studies.lexical.baselines",
                "gdlib.networks.gloss_vectors",
                "gdlib.compare.sense_results",
            ),
        }

        def build(folder: Path) -> None:
            asked = self._all_asked
            said = {
                "random": sense_baselines.at_random(asked, s.seed),
                "first sense": sense_baselines.first_sense(asked),
                "Lesk": sense_baselines.lesk(asked),
                "similarity": gloss_vectors.similarity(zoo.locate(s.encoder), asked, s.max_length),
            }
            table = pd.DataFrame(
                [{"method": name, "seed": s.seed, "model_seed": -1, "steps": 0} for name in said]
            )
            right = np.stack([results.judge(of, asked) for of in said.values()])
            results.save(Answers(table, right, results.describe(self.asked)), folder)

        return results.load(self.store.make("sense-baselines", recipe, build).path)

    def results(self) -> Answers:
        """Every baseline, every arm and model seed; what is not trained yet is trained now, several
        models at a time.
        """
        s = self.settings
        arms = [ARMS[name] for name in s.arms]
        teachers = [ARMS[s.distilled_from]] if any(arm.target == "soft" for arm in arms) else []
        first = list(dict.fromkeys([arm for arm in arms if arm.target == "gold"] + teachers))
        both = (first, [arm for arm in arms if arm.target == "soft"])
        waves = [
            self.store.missing(
                self.answers_of, [(arm, seed) for seed in s.model_seeds for arm in wave]
            )
            for wave in both
        ]
        with tqdm(
            total=sum(map(len, waves)),
            desc="models",
            unit="model",
            mininterval=2.0,
            disable=not any(waves),
        ) as bar:
            for wave in waves:
                for _ in in_processes(_answer_one, [(s, self.store.root, *job) for job in wave]):
                    bar.update()
        table, right = [self.baselines.table], [self.baselines.right]
        for arm in arms:
            for seed in s.model_seeds:
                steps = self.model_artifact(arm, seed).json("history.json")["best_step"]
                table.append(
                    pd.DataFrame(
                        [{"method": arm.name, "seed": s.seed, "model_seed": seed, "steps": steps}]
                    )
                )
                right.append(np.load(self.answers_of(arm, seed) / "right.npy")[None])
        return Answers(
            pd.concat(table, ignore_index=True), np.concatenate(right), self.baselines.instances
        )

    # ---- what the notebooks show

    def dictionary(self) -> pd.DataFrame:
        """The training words with the most senses of each part of speech: lemma, pos, rank, gloss,
        occurrences.
        """
        rows = []
        for pos in dict.fromkeys(one.pos for one in self.data.train):
            one = max(
                (one for one in self.data.train if one.pos == pos),
                key=lambda one: len(one.candidates),
            )
            senses = [
                {
                    "lemma": s.lemma,
                    "pos": s.pos,
                    "rank": s.rank,
                    "gloss": s.definition,
                    "tagged": s.tag_count,
                }
                for s in one.candidates[:4]
            ]
            rows += senses
        return pd.DataFrame(rows)

    def example_pair(self) -> pd.DataFrame:
        """The pairs of one training instance as the encoder reads them, and whether the gloss is
        right.
        """
        one = next(one for one in self.data.train if len(one.candidates) == 3)
        rows = {}
        for name, coder in (("LMGC", self.coder()), ("gloss pairs", self.coder(marked=False))):
            (coded,) = coder.code([one])
            rows[name] = coder.tokenizer.batch_decode(
                [coder.pair(coded, place)[0] for place in range(3)]
            )
        return pd.DataFrame({**rows, "right": one.gold})

    def history(self, arm: str) -> pd.DataFrame:
        """The learning curve of an arm's first model: step, train_loss, held_out."""
        looks = self.model_artifact(ARMS[arm], self.settings.model_seeds[0]).json("history.json")
        return pd.DataFrame({name: looks[name] for name in ("step", "train_loss", "held_out")})


@lru_cache(maxsize=1)
def _study(settings: Settings, root: Path) -> LexicalStudy:
    return LexicalStudy(settings, Store(root))


def _answer_one(settings: Settings, root: Path, arm: Arm, model_seed: int) -> None:
    """Train one model and ask it, in a process of its own; all is kept in the store."""
    _study(settings, root).answers_of(arm, model_seed)
