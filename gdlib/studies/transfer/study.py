"""Study 2, transfer distillation (arXiv 1910.01769, 2004.05686): one run of it.

What it shares with other studies (splits, teacher, samples) is in
:mod:`gdlib.studies.shared.study`; here are its students.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_model, save_model
from tqdm.auto import tqdm

from gdlib.compare.results import Results
from gdlib.core.code import code_digest
from gdlib.core.errors import BadSetting
from gdlib.core.processes import in_processes
from gdlib.core.settings import subset
from gdlib.core.store import Artifact, Store
from gdlib.learn import schedules
from gdlib.learn.batches import Batch, in_batches, pad
from gdlib.learn.loop import Regime, seed_everything
from gdlib.learn.losses import StagedLoss
from gdlib.networks import distillation, students
from gdlib.networks.distillation import Source
from gdlib.networks.recurrent import BiLSTM, Projected
from gdlib.studies.shared.study import WritingStudy
from gdlib.studies.shared.trials import Trials, run_trial
from gdlib.studies.transfer.settings import PLAN, Arm, Settings, arms, trials

STUDENT = "BiLSTM"


class TransferStudy(WritingStudy):
    """One run of study 2: what a BiLSTM makes of a teacher's labels, logits and states, by every
    strategy.
    """

    settings: Settings
    plan = PLAN

    # ---- what students learn from

    @cached_property
    def sources(self) -> dict[str, Source]:
        """Texts with the teacher's logits; generated ones only where an arm asks for them."""
        found = {"labelled": self.labelled, "held_out": self.held_out, "real": self.real}
        if set(self.settings.transfer_texts) & {"generated", "both"}:
            found["generated"] = self.generated
        return found

    def with_states(self, name: str, layer: int) -> Source:
        """One of the sources with the teacher's states of a layer.

        Raises:
            BadSetting: a layer that is not among ``teacher_layers``.
        """
        if layer not in self.settings.teacher_layers:
            raise BadSetting(
                f"teacher_layer = {layer}: not kept; teacher_layers = "
                f"{self.settings.teacher_layers}"
            )
        parts = self.splits
        if name == "generated":
            table = self.samples()
            texts = table["text"][table["fate"] == "kept"].tolist()
        else:
            texts = {"labelled": parts.train, "held_out": parts.validation, "real": parts.transfer}[
                name
            ].texts
        return replace(self.sources[name], teacher_states=self.signals(texts).states[layer])

    def transfer_set(self, arm: Arm) -> Source:
        """The unlabelled texts of an arm. ``as many real``: cut to the number of generated ones."""
        names = {"both": ("real", "generated"), "as many real": ("real",)}.get(
            arm.text, (arm.text,)
        )
        whole = distillation.join([self.with_states(name, arm.teacher_layer) for name in names])
        if arm.text == "as many real":
            whole = whole.head(len(self.sources["generated"]))
        return whole.head(-(-len(whole) // arm.divisor))

    @cached_property
    def vocabulary(self) -> students.Vocabulary:
        """The pieces seen in labelled and transfer texts, never the test's; the same for all arms."""
        tokenizer = self.teacher.tokenizer
        pieces = distillation.join(
            [source for name, source in self.sources.items() if name != "held_out"]
        ).pieces
        return students.Vocabulary.seen(
            pieces, tokenizer.pad_token_id, tokenizer.unk_token_id, len(tokenizer)
        )

    # ---- students

    def new_student(self, arm: Arm, seed: int) -> BiLSTM:
        """A student at its start: random, or with the SVD of the teacher's embedding."""
        seed_everything(seed)
        s, vocabulary = self.settings, self.vocabulary
        student = BiLSTM(
            len(vocabulary),
            len(self.splits.labels),
            arm.hidden_dim,
            arm.embedding_dim,
            s.student_dropout,
            arm.pooling,
        )
        if arm.embedding == "svd":
            with torch.no_grad():
                student.embedding.weight.copy_(
                    students.svd_embedding(self.teacher.embedding, vocabulary, arm.embedding_dim)
                )
        return student

    def distil(self, arm: Arm, student_seed: int) -> tuple[BiLSTM, pd.DataFrame]:
        """One trained student, and the trace of its training (:func:`gdlib.learn.schedules.run`)."""
        s = self.settings
        seed = int(np.random.SeedSequence([s.seed, student_seed]).generate_state(1)[0])
        data = {
            "labelled": self.with_states("labelled", arm.teacher_layer),
            "transfer": self.transfer_set(arm),
        }
        rows = {name: self.vocabulary.rows(source.pieces) for name, source in data.items()}
        pseudo = replace(data["transfer"], labels=data["transfer"].teacher_logits.argmax(-1))
        held_out = self.with_states("held_out", arm.teacher_layer)
        held_out_rows = self.vocabulary.rows(held_out.pieces)
        whole = [
            _batch((held_out, held_out_rows, index))
            for index in in_batches([len(row) for row in held_out_rows], 64)
        ]

        def batches(stage: schedules.Stage, seed: int) -> Callable[[int], Batch]:
            told = data | ({"transfer": pseudo} if stage.pseudo_labels else {})
            order = schedules.draw(
                stage, *([len(row) for row in rows[name]] for name in data), s.student_batch, seed
            )
            return lambda step: _batch(
                *((told[name], rows[name], index) for name, index in zip(data, order(step)))
            )

        student = self.new_student(arm, seed)
        learner = Projected(student, data["labelled"].teacher_states.shape[1])
        loss = StagedLoss(s.hard_weight, s.representation_weight, s.soft_weight, s.representation)
        patience = 0 if arm.family == "steps" else s.patience  # one given more steps takes them
        regime = Regime(
            arm.steps,
            s.student_lr,
            evaluate_every=s.evaluate_every,
            patience=patience,
            seed=seed,
            decay="cosine",
        )
        trace = schedules.run(
            learner, schedules.strategy(arm.strategy), loss, batches, whole, regime
        )
        return student.eval(), trace

    @cached_property
    def results_artifact(self) -> Artifact:
        s = self.settings
        self.with_states("labelled", s.teacher_layer)  # a layer that is not kept is said at once
        recipe = {
            "teacher": self.teacher_artifact.key,
            "samples": self.samples_artifact.key if "generated" in self.sources else "",
            "splits": self.splits.digest,
            "states": [s.teacher_layers, s.teacher_pooling],
            "settings": subset(s, ("students",)),
            "code": code_digest(
                "gdlib.studies.shared.trials",
                "gdlib.compare.baselines",
                "gdlib.learn.schedules",
                "gdlib.networks.recurrent",
            ),
        }
        return self.store.make("transfer-students", recipe, self._train_all)

    def _train_all(self, folder: Path) -> None:
        s, parts = self.settings, self.splits
        columns = {"corpus": s.corpus, "labels_per_class": s.labels_per_class, "seed": s.seed}
        counted = Trials(
            columns, parts.test, self.signals(parts.test.texts).probabilities.numpy(), folder
        )
        counted.references(
            parts, self.teacher.network, self.teacher_artifact.json("history.json")["best_step"]
        )
        jobs = trials(s)
        with tqdm(total=len(jobs), desc="students", unit="student", mininterval=2.0) as bar:
            for _ in in_processes(_train_one, [(s, self.store.root, folder, *job) for job in jobs]):
                bar.update()
        traces = []
        for arm, seed in jobs:
            size = (
                len(self.transfer_set(arm))
                if any(
                    stage.items != "labelled" for stage in schedules.strategy(arm.strategy).stages
                )
                else 0
            )
            counted.student(
                STUDENT,
                arm.name,
                seed,
                size,
                self.test_rows,
                lambda arm=arm, seed=seed: _with_trace(self, folder, arm, seed),
            )
            traces.append(pd.read_parquet(_trace_file(folder, arm, seed)))
        pd.concat(traces, ignore_index=True).to_parquet(folder / "traces.parquet", index=False)
        counted.results().save(folder)

    @cached_property
    def test_rows(self) -> list[list[int]]:
        """The test texts as students read them."""
        return self.vocabulary.rows(
            students.encode(
                self.teacher.tokenizer, self.splits.test.texts, self.settings.max_length
            )
        )

    def results(self) -> Results:
        """Every arm and student seed, the baselines and the teacher, on the test part."""
        return Results.load(self.results_artifact.path)

    def traces(self) -> pd.DataFrame:
        """Every look at the held-out score in every training: arm, student_seed, and the columns of
        :func:`gdlib.learn.schedules.run`.
        """
        return pd.read_parquet(self.results_artifact / "traces.parquet")

    # ---- one student to look at

    def student(self) -> BiLSTM:
        """The student of the main arm and the first student seed."""
        main = next(arm for arm in arms(self.settings) if arm.name == self.settings.strategy)
        student = self.new_student(main, 0)
        load_model(student, self.results_artifact / f"{STUDENT}.safetensors")
        return student.eval()

    def student_logits(self, texts: Sequence[str]) -> np.ndarray:
        """What that student says of some texts. *Shape:* ``[texts, classes]``."""
        rows = self.vocabulary.rows(
            students.encode(self.teacher.tokenizer, texts, self.settings.max_length)
        )
        return distillation.predict(self.student(), rows).numpy()


def _batch(*parts: tuple[Source, list[list[int]], Sequence[int]]) -> Batch:
    """Some rows of some sources as one batch."""
    chosen = distillation.join([source.rows(index) for source, _, index in parts])
    pieces = pad([rows[i] for _, rows, index in parts for i in index], students.PAD)
    told = {
        "teacher_logits": chosen.teacher_logits,
        "teacher_states": chosen.teacher_states,
        "labels": chosen.labels,
    }
    return {"pieces": pieces, **told}


@lru_cache(maxsize=1)
def _study(settings: Settings, root: Path) -> TransferStudy:
    return TransferStudy(settings, Store(root))


def _trace_file(folder: Path, arm: Arm, seed: int) -> Path:
    return folder / f"checkpoint-trace-{arm.name.replace('/', 'over ')}-{seed}.parquet"


def _with_trace(study: TransferStudy, folder: Path, arm: Arm, seed: int) -> tuple[BiLSTM, int]:
    """Train one student; leave its trace and, of the one to look at (main arm, first seed), its
    weights.
    """
    student, trace = study.distil(arm, seed)
    trace.assign(arm=arm.name, student_seed=seed).to_parquet(
        _trace_file(folder, arm, seed), index=False
    )
    if arm.name == study.settings.strategy and seed == study.settings.student_seeds[0]:
        save_model(student, folder / f"{STUDENT}.safetensors")
    return student, int(trace["step"][trace["kept"]].iloc[-1])


def _train_one(settings: Settings, root: Path, folder: Path, arm: Arm, seed: int) -> None:
    """One trial in a process of its own."""
    study = _study(settings, root)
    run_trial(
        folder,
        STUDENT,
        arm.name,
        seed,
        study.test_rows,
        lambda: _with_trace(study, folder, arm, seed),
    )
