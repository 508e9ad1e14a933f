"""Rows on the training of students."""

import os
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.timing import Call, Lines, compare, rate, seconds
from benchmarks.workbench import Workbench, unless_missing
from gdlib.core.processes import in_processes
from gdlib.learn.batches import Batch, autocast, batches_by_length, collate, pad
from gdlib.learn.loop import Regime, fit
from gdlib.networks import distillation
from gdlib.networks.arms import ARMS, MAIN_ARM, arms
from gdlib.networks.students import PAD, STUDENTS
from gdlib.networks.teacher import tokenize
from gdlib.studies.generation.settings import Settings


def distilling(bench: Workbench) -> Lines:
    """A student of the default run that learns from the teacher. Ours learn from labels that are
    kept, so that each pays its share of labelling all texts that they learn from, and several learn
    at a time, as in a run; TextBrewer asks the teacher, with all cores, at every step of each, of
    which some are measured.
    """
    study, whole = bench.study, Settings()
    plan = replace(study.student_plan, student_steps=whole.student_steps)
    lessons, arm = study.lessons[ARMS[MAIN_ARM]], ARMS[MAIN_ARM]
    name, classes = study.settings.students[0], len(study.class_names)
    asking = [each for each in arms(whole.arms, whole.sample_divisors) if each.target != "gold"]
    texts = len(study.labelled) + whole.transfer_size + 2 * whole.num_samples  # scraps are as many
    share = texts / len(asking) / len(whole.student_seeds)
    labelled = bench.texts[: bench.sizes.labelled]
    start = name, classes, study.vocabulary, study.vectors
    new = partial(distillation.new_student, *start, plan, seed=0)
    loss = distillation.loss_of(arm, plan)
    learnt = *lessons, study.held_out, study.vocabulary, loss
    together = bench.sizes.students[0]  # the most

    def ours(_: int) -> float:
        label = seconds(lambda: study.teacher.signals(labelled, title=""))
        learning = [(start, learnt, plan, seed) for seed in range(together)]
        learn = seconds(lambda: deque(in_processes(one_student, learning)))
        return share / len(labelled) * label + learn / together

    calls = {"gdlib": ours}
    for precision in dict.fromkeys(("fp32", bench.precision)):
        for order in ("random", "by length"):
            brewed = textbrewer(bench, new, precision, order, whole.student_steps)
            calls[f"TextBrewer {precision}, {order}"] = unless_missing(brewed, "textbrewer")
    return compare("distilling", "s", calls, rounds=bench.rounds)


def textbrewer(
    bench: Workbench, student: Callable[[], nn.Module], precision: str, order: str, whole: int
) -> Call:
    """TextBrewer with the teacher in the loop, on random batches, as its examples have them, or on
    batches of like length: from a part of the steps to the whole.
    """
    study, s, steps = bench.study, bench.study.settings, bench.sizes.steps
    texts = bench.texts[: steps * s.student_batch]
    pad_id = study.teacher.tokenizer.pad_token_id

    def batches() -> list[dict[str, Batch]]:
        rows = tokenize(study.teacher.tokenizer, texts, s.max_length)
        own = study.rows(texts)
        lengths = [len(row) if order == "by length" else 0 for row in rows]
        at = batches_by_length(lengths, s.student_batch, seed=0)
        return [
            {
                "teacher": collate([rows[i] for i in at(step)], pad_id),
                "student": {"pieces": pad([own[i] for i in at(step)], PAD)},
            }
            for step in range(steps)
        ]

    def train() -> None:
        from textbrewer import DistillationConfig, GeneralDistiller, TrainingConfig

        with TemporaryDirectory() as folder, autocast(torch.device("cpu"), precision):
            how = TrainingConfig(ckpt_steps=steps, output_dir=folder, device="cpu")
            network = student()
            distiller = GeneralDistiller(
                how,
                DistillationConfig(temperature=s.temperature),
                study.teacher.network,
                network,
                lambda _, out: {"logits": out.logits},
                lambda _, logits: {"logits": logits},
            )
            optimizer = torch.optim.AdamW(network.parameters(), lr=s.student_lr)
            with distiller:
                distiller.train(optimizer, batches(), num_steps=steps)

    return lambda _: whole / steps * seconds(train)


def students(bench: Workbench) -> Lines:
    """Seconds per student as they become more, by one worker and by two; the start of a worker
    counts. Ours is the most students with the most workers.
    """
    study, arm = bench.study, ARMS[MAIN_ARM]
    plan = replace(study.student_plan, student_steps=bench.sizes.steps)
    start = study.settings.students[0], len(study.class_names), study.vocabulary, study.vectors
    learnt = *study.lessons[arm], study.held_out, study.vocabulary, distillation.loss_of(arm, plan)

    def trained(count: int, workers: int) -> Call:
        def run() -> None:
            before = os.environ.get("GDLIB_THREADS")
            os.environ["GDLIB_THREADS"] = str(workers)
            try:
                deque(in_processes(one_student, [(start, learnt, plan, i) for i in range(count)]))
            finally:
                os.environ.pop("GDLIB_THREADS")
                os.environ.update({} if before is None else {"GDLIB_THREADS": before})

        return lambda _: seconds(run) / count

    sizes = [(count, workers) for workers in (2, 1) for count in bench.sizes.students]
    calls = {f"{count} students, {workers} workers": (count, workers) for count, workers in sizes}
    measured = {name: trained(*size) for name, size in calls.items()}
    lines = compare("students", "s", measured, rounds=bench.rounds)
    return [
        each | {"our number": calls[each["ours"]][0], "its number": calls[each["against"]][0]}
        for each in lines
    ]


def one_student(start: Any, learnt: Any, plan: Any, seed: int) -> None:
    """Train one student in a worker."""
    student = distillation.new_student(*start, plan, seed)
    distillation.distil(student, *learnt, plan, seed)


def steps(bench: Workbench) -> Lines:
    """Training steps of every student, on batches of like length and on random ones."""
    study, s, number = bench.study, bench.study.settings, bench.sizes.steps
    rows, classes = study.rows(bench.texts[:2000]), len(study.class_names)
    order = np.random.default_rng(0).permutation(len(rows))
    cut = [order[i : i + s.student_batch] for i in range(0, len(rows), s.student_batch)]
    orders = {
        "by length": batches_by_length([len(row) for row in rows], s.student_batch, seed=0),
        "random": lambda step: cut[step % len(cut)],
    }
    regime = Regime(steps=number, lr=s.student_lr, evaluate_every=number)

    def trained(name: str, order: Callable[[int], Any]) -> Call:
        def batch(step: int) -> Batch:
            index = order(step)
            pieces = pad([rows[i] for i in index], PAD)
            return {"pieces": pieces, "labels": torch.as_tensor(index) % classes}

        def loss(model: nn.Module, batch: Batch) -> torch.Tensor:
            return F.cross_entropy(model(batch["pieces"]), batch["labels"])

        def run() -> None:
            network = study.student_plan.build(name, classes, study.vocabulary)
            fit(network, batch, loss, lambda _: 0.0, regime)

        return rate(number, run)

    lines = []
    for name in STUDENTS:
        calls = {f"{name}, {kind}": trained(name, order) for kind, order in orders.items()}
        lines += compare("steps", "steps/s", calls, rounds=bench.rounds)
    return lines
