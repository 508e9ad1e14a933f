"""Detection of machine-made paraphrases, part of study 3: one run of it (texts, spinners,
detectors, answers).
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax
from tqdm.auto import tqdm

from gdlib.compare.results import Results, of_classifiers
from gdlib.core import settings as config
from gdlib.core.code import code_digest
from gdlib.core.errors import BadCorpus, BadSetting
from gdlib.core.processes import in_processes
from gdlib.core.settings import digest
from gdlib.core.store import Artifact, Store, texts_digest
from gdlib.learn.losses import DistillationLoss
from gdlib.networks.distillation import StudentPlan
from gdlib.networks.lexical_arms import PLAIN
from gdlib.networks.teacher import TeacherPlan
from gdlib.sources import corpora, splits, zoo
from gdlib.sources.splits import TEST_SEED, Part
from gdlib.studies.mlm import settings as mlm_settings
from gdlib.studies.mlm.study import MLMStudy
from gdlib.studies.paraphrase import detectors, spinners
from gdlib.studies.paraphrase.settings import ENCODER_DETECTORS, PLAN, STUDENT, TFIDF, Settings
from gdlib.studies.paraphrase.spinners import SPINNERS, Infiller, SpinPlan
from gdlib.studies.shared.encoders import LexicalEncoders
from gdlib.studies.shared.settings import EncoderSettings
from gdlib.studies.shared.study import Study

Job = tuple[dict[str, Any], tuple[Any, ...]]
LEAST = 4  # texts of a part: two of each class


@dataclass(frozen=True)
class Sources:
    """Texts of one part: some stay as they are, others appear only as paraphrases of them."""

    originals: list[str]
    spun: list[str]

    @classmethod
    def halves(cls, texts: list[str]) -> "Sources":
        half = len(texts) // 2
        return cls(texts[:half], texts[half : 2 * half])


@dataclass(frozen=True)
class Trial:
    """One detector: its kind, the spinner whose paraphrases it is trained on, and its model seed."""

    detector: str
    spinner: str
    seed: int


class ParaphraseStudy(Study):
    """One run: one corpus to train on, one draw of its texts, every detector on every spinner;
    tested on all domains.
    """

    settings: Settings
    plan = PLAN

    # ---- texts

    @cached_property
    def tested(self) -> dict[str, str]:
        """The domains tested on, that of training first: name (of a folder, its last part) to what
        is loaded.
        """
        wanted = tuple(dict.fromkeys((self.settings.corpus, *self.settings.domains)))
        named = {name.rstrip("/").rpartition("/")[2]: name for name in wanted}
        if len(named) < len(wanted):
            raise BadSetting(
                f"domains {', '.join(wanted)}: two of them have the same name; rename one"
            )
        return named

    @property
    def own(self) -> str:
        """The name of the domain of training."""
        return next(iter(self.tested))

    def _drawn(
        self, part: str, domain: str, texts: list[str], number: int, least: int, seed: int
    ) -> list[str]:
        """At most ``number`` texts that are long enough and that a dictionary can change, in an
        order drawn by the seed.
        """
        s, found = self.settings, []
        for i in np.random.default_rng([seed, len(texts)]).permutation(len(texts)):
            if (
                len(found) < number
                and len(texts[i].split()) >= s.min_words
                and spinners.replaceable(texts[i])
            ):
                found.append(texts[i])
        if len(found) < least:
            raise BadCorpus(
                f"corpus {domain} has {len(found)} {part} of {s.min_words} words "
                f"(min_words) or more with words to replace; expected {least} or more"
            )
        return found

    def _parts(self, domain: str) -> tuple[list[str], list[str]]:
        """A domain's texts to train on and to test on, as every study divides them: no text is in
        both.
        """
        s = self.settings
        corpus = corpora.load(domain)
        parts = splits.split(
            corpus,
            labels_per_class=1,
            validation_share=0.0,
            transfer_size=10**9,
            test_size=4 * s.test_size,
            seed=s.seed,
        )
        return parts.labelled.texts + parts.transfer.texts, parts.test.texts

    @cached_property
    def parts(self) -> dict[str, Sources]:
        """The parts of the training corpus: ``train``, ``held_out`` and, for the student,
        ``transfer``.
        """
        s = self.settings
        held_out = round(s.train_texts * s.validation_share)
        if min(held_out, s.train_texts - held_out) < LEAST:
            raise BadSetting(
                f"train_texts = {s.train_texts} with validation_share = "
                f"{s.validation_share}: expected {LEAST} texts or more in each part"
            )
        texts = self._drawn(
            "texts to train on",
            s.corpus,
            self._parts(s.corpus)[0],
            s.train_texts + s.transfer_size,
            s.train_texts,
            s.seed,
        )
        ends = (0, held_out, s.train_texts, len(texts))
        return {
            name: Sources.halves(texts[a:b])
            for name, a, b in zip(("held_out", "train", "transfer"), ends, ends[1:])
        }

    @cached_property
    def tests(self) -> dict[str, Sources]:
        """The test texts of every domain; the same for every seed."""
        size = self.settings.test_size
        drawn = (
            self._drawn("test texts", name, self._parts(name)[1], size, min(size, LEAST), TEST_SEED)
            for name in self.tested.values()
        )
        return {name: Sources.halves(texts) for name, texts in zip(self.tested, drawn)}

    # ---- spinners

    @cached_property
    def _masked(self) -> MLMStudy:
        """The study whose head fills in: what it trained with the same settings in the same store
        is taken over.
        """
        s = self.settings
        same = {
            name: getattr(s, name)
            for name in ("mlm_corpora", "head_texts", "choose_texts", "head_steps", "head_lr")
        }
        same |= {
            "mlm_teachers": (s.infiller,),
            "teacher_bodies": (s.infiller_body,),
            "teacher_depths": (s.infiller_depth,),
        }
        few = {"student_texts": s.choose_texts, "held_out_texts": s.choose_texts}  # not used here
        return MLMStudy(
            config.build(mlm_settings.Settings, same | few | {"corpus": s.mlm_corpora[0]}),
            self.store,
        )

    @cached_property
    def infiller(self) -> Infiller:
        (name,) = self._masked.networks
        return Infiller(
            self._masked.masked_teacher(name), self._masked.tokenizer, self.settings.max_length
        )

    def spun(self, spinner: str, texts: list[str], seed: int) -> list[str]:
        """Texts in other words, in their order; made once and kept."""
        s = self.settings
        plan = SpinPlan(s.synonym_every, s.filled_share, s.filled_top, s.filled_nearness, seed)
        head = (
            self._masked.head_artifact(next(iter(self._masked.networks)))
            if SPINNERS[spinner].reads
            else None
        )
        recipe = {
            "spinner": spinner,
            "plan": asdict(plan),
            "texts": texts_digest(texts),
            "code": code_digest("gdlib.studies.paraphrase.spinners"),
        }
        recipe |= (
            {
                "network": zoo.locate(s.infiller).digest,
                "head": head and head.key,
                "max_length": s.max_length,
            }
            if SPINNERS[spinner].reads
            else {}
        )

        def build(folder: Path) -> None:
            pd.DataFrame(
                {"text": spinners.spin(spinner, texts, plan, lambda: self.infiller)}
            ).to_parquet(folder / "spun.parquet")

        return pd.read_parquet(self.store.make("spun", recipe, build) / "spun.parquet")[
            "text"
        ].tolist()

    def part(self, name: str, spinner: str) -> Part:
        """A part of the training corpus with one spinner's paraphrases, labelled."""
        of = self.parts[name]
        return Part(
            of.originals + self.spun(spinner, of.spun, self.settings.seed),
            [0] * len(of.originals) + [1] * len(of.spun),
        )

    @cached_property
    def cases(self) -> pd.DataFrame:
        """Every test text: domain, spinner ("" for an original), unit (its source: one number for
        all its paraphrases), text, gold.
        """
        rows, unit = [], 0
        for domain, of in self.tests.items():
            rows += [(domain, "", unit + i, text, 0) for i, text in enumerate(of.originals)]
            unit += len(of.originals)
            for spinner in self.settings.spinners:
                rows += [
                    (domain, spinner, unit + i, text, 1)
                    for i, text in enumerate(self.spun(spinner, of.spun, TEST_SEED))
                ]
            unit += len(of.spun)
        return pd.DataFrame(rows, columns=["domain", "spinner", "unit", "text", "gold"])

    # ---- detectors

    @cached_property
    def encoders(self) -> LexicalEncoders:
        """The lexically trained encoders; their seeds are 0, 1, ... over the seeds of this study
        and its model seeds.
        """
        s = self.settings
        own = {name: getattr(s, name) for name in config.knobs(EncoderSettings)}
        return LexicalEncoders(
            config.build(EncoderSettings, own | {"corpus": s.sense_corpus, "seed": 0}), self.store
        )

    def encoder_seed(self, model_seed: int) -> int:
        """The model seed of the lexical training: another one for every seed and model seed."""
        s = self.settings
        return s.seed * len(s.model_seeds) + s.model_seeds.index(model_seed)

    @property
    def trials(self) -> list[Trial]:
        s = self.settings
        return [
            Trial(name, spinner, seed)
            for name in s.detectors
            for spinner in s.spinners
            for seed in s.model_seeds
        ]

    def job(self, trial: Trial) -> Job:
        """How a detector comes about: the recipe of what it leaves, and the call that makes it."""
        s, network, asked = (
            self.settings,
            zoo.locate(self.settings.encoder),
            self.cases["text"].tolist(),
        )
        parts = {name: self.part(name, trial.spinner) for name in ("train", "held_out", "transfer")}
        seed = int(np.random.SeedSequence([s.seed, trial.seed]).generate_state(1)[0])
        recipe = {
            "detector": trial.detector,
            "parts": digest([[texts_digest(part.texts), part.labels] for part in parts.values()]),
            "asked": texts_digest(asked),
            "code": code_digest("gdlib.studies.paraphrase.detectors"),
        }
        if trial.detector == TFIDF:
            return recipe, (detectors.tfidf, parts, asked)
        if trial.detector == STUDENT:
            best, plan = self.best_encoder(trial.spinner, trial.seed), self.student_plan
            recipe |= {
                "plan": asdict(plan),
                "student": s.student,
                "seed": seed,
                "teacher": best.key,
                "max_length": s.max_length,
            }
            return recipe, (
                detectors.student,
                s.student,
                network,
                best,
                plan,
                s.max_length,
                seed,
                parts,
                asked,
            )
        network = self.encoders.encoder_network(trial.detector, self.encoder_seed(trial.seed))
        plan = TeacherPlan(s.detector_epochs, s.detector_lr, s.detector_batch, s.max_length, seed)
        recipe |= {"plan": asdict(plan), "network": network.digest}
        return recipe, (detectors.encoder, network, plan, parts, asked)

    def detector_artifact(self, trial: Trial) -> Artifact:
        """What a trained detector left (:mod:`gdlib.studies.paraphrase.detectors`)."""
        return _make(self.store.root, *self.job(trial))

    def best_encoder(self, spinner: str, model_seed: int) -> Artifact:
        """Of the encoders that are compared, the one with the best held-out score: the student's
        teacher.
        """
        names = [name for name in ENCODER_DETECTORS if name in self.settings.detectors] or [PLAIN]
        made = [self.detector_artifact(Trial(name, spinner, model_seed)) for name in names]
        return min(made, key=lambda artifact: artifact.json("notes.json")["held_out"])

    @property
    def student_plan(self) -> StudentPlan:
        s = self.settings
        loss = DistillationLoss(s.soft_loss, s.temperature, s.hard_weight, s.soft_weight)
        return StudentPlan(
            s.student_parameters,
            "svd",
            64,
            0.3,
            s.student_steps,
            s.student_lr,
            64,
            max(1, s.student_steps // 10),
            0,
            loss,
        )

    def train(self) -> None:
        """Train what is not in the store yet, several detectors at a time; students after the
        encoders.
        """
        s = self.settings
        wanted = [name for name in ENCODER_DETECTORS if name in s.detectors] or [PLAIN] * (
            STUDENT in s.detectors
        )
        self.encoders.make_encoders(wanted, [self.encoder_seed(seed) for seed in s.model_seeds])
        first = [
            Trial(name, spinner, seed)
            for name in wanted
            for spinner in s.spinners
            for seed in s.model_seeds
        ]
        rest = [trial for trial in self.trials if trial not in first]
        first, rest = (
            [
                trial
                for (trial,) in self.store.missing(self.detector_artifact, [(one,) for one in wave])
            ]
            for wave in (first, rest)
        )
        with tqdm(
            total=len(first) + len(rest),
            desc="detectors",
            unit="detector",
            mininterval=2.0,
            disable=not (first or rest),
        ) as bar:
            for wave in (first, rest):
                for _ in in_processes(
                    _make, [(self.store.root, *self.job(trial)) for trial in wave]
                ):
                    bar.update()

    def results(self) -> Results:
        """Every detector on every test text; ``arm`` is the spinner whose paraphrases it was
        trained on. Trains what is missing.
        """
        self.train()
        gold, rows, said = self.cases["gold"].to_numpy(), [], []
        for trial in self.trials:
            made = self.detector_artifact(trial)
            logits, notes = np.load(made / "said.npy"), made.json("notes.json")
            columns = {
                "corpus": self.settings.corpus,
                "labels_per_class": self.settings.train_texts,
                "seed": self.settings.seed,
            }
            columns |= {
                "student": trial.detector,
                "arm": trial.spinner,
                "student_seed": trial.seed,
                "size": self.settings.train_texts,
            }
            more = {
                name: notes.get(name)
                for name in ("parameters", "steps", "seconds", "held_out", "learnt_from")
            }
            rows.append(columns | more)
            said.append(softmax(logits.astype(np.float64), axis=-1))
        return of_classifiers(rows, said, gold)

    # ---- what the notebooks show

    def measures(self) -> pd.DataFrame:
        """What each spinner did to the test texts: domain, spinner, texts, changed (share of
        words), similarity (cosine).
        """
        network, rows = zoo.locate(self.settings.encoder), []
        for domain, of in self.tests.items():
            for spinner in self.settings.spinners:
                spun = self.spun(spinner, of.spun, TEST_SEED)
                changed = np.mean([spinners.changed_share(a, b) for a, b in zip(of.spun, spun)])
                alike = (
                    spinners.similarity(network, of.spun, spun, self.settings.max_length)
                    .mean()
                    .item()
                )
                rows.append(
                    {
                        "domain": domain,
                        "spinner": spinner,
                        "texts": len(spun),
                        "changed": changed,
                        "similarity": alike,
                    }
                )
        return pd.DataFrame(rows)

    def counts(self) -> pd.DataFrame:
        """Texts of every part: part, domain, originals, paraphrased (by each spinner)."""
        parts = [(name, self.own, of) for name, of in self.parts.items()] + [
            ("test", name, of) for name, of in self.tests.items()
        ]
        return pd.DataFrame(
            [
                {
                    "part": part,
                    "domain": domain,
                    "originals": len(of.originals),
                    "paraphrased": len(of.spun),
                }
                for part, domain, of in parts
            ]
        )


def _make(root: Path, recipe: dict[str, Any], call: tuple[Any, ...]) -> Artifact:
    """Train one detector and ask it, maybe in a process of its own, unless it is in the store."""
    function, *arguments = call
    return Store(root).make("detector", recipe, lambda folder: function(*arguments, folder))
