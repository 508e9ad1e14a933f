"""The row on how time and memory grow with the number of texts."""

import multiprocessing
import re
import resource
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.timing import Lines, line, seconds
from benchmarks.workbench import Workbench
from gdlib.networks.sampling import Generator
from gdlib.networks.teacher import Teacher
from gdlib.sources.corpora import Part
from gdlib.studies.shared import samples
from gdlib.studies.shared.samples import SamplingPlan


def growth(bench: Workbench) -> Lines:
    """Milliseconds per text and peak memory at 1, 4 and 16 times as many texts. Ours is the
    largest number: a ratio of 1 says that a text costs no more among many than among few.
    """
    study, (label, write) = bench.study, bench.sizes.grown
    train, *_ = study.labelled_parts
    plan = replace(study.sampling_plan, batch=write)
    numbers = {"labelling": label, "sampling": write}
    given = {
        "labelling": (labelled, study.trained_teacher().path, bench.texts),
        "sampling": (written, study.trained_generator().path, train, plan),
    }
    found: dict[str, list[Any]] = {kind: [] for kind in given}
    for _ in range(bench.rounds):
        for kind, (work, *arguments) in given.items():
            counts = [factor * numbers[kind] for factor in bench.sizes.factors]
            found[kind].append(alone(work, torch.get_num_threads(), counts, *arguments))
    lines = []
    for kind, runs in found.items():
        names = [f"{kind} {factor * numbers[kind]:,} texts" for factor in bench.sizes.factors]
        times, peaks = np.median(np.array(runs), axis=0).T
        for other in range(len(names) - 1):
            entry = line("growth", "ms", (names[-1], times[-1]), (names[other], times[other]))
            counts = [factor * numbers[kind] for factor in bench.sizes.factors]
            entry |= {"our peak MB": peaks[-1], "its peak MB": peaks[other]}
            lines.append(entry | {"our number": counts[-1], "its number": counts[other]})
    return lines


def alone(work: Any, *arguments: Any) -> list[tuple[float, float]]:
    """Call in a fresh process, whose memory is that of this work and of nothing before it."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(listed, work, *arguments).result()


def listed(work: Any, threads: int, *arguments: Any) -> list[tuple[float, float]]:
    """What ``work`` yields, with so many threads."""
    torch.set_num_threads(threads)
    return list(work(*arguments))


def labelled(
    counts: Sequence[int], folder: Path, texts: list[str]
) -> Iterator[tuple[float, float]]:
    """Milliseconds per text and peak memory of labelling so many texts, fewest first."""
    teacher = Teacher.load(folder)
    teacher.signals(texts[:8], title="")  # the first call of all is slower
    for count in counts:
        took = seconds(lambda count=count: teacher.signals(texts[:count], title=""))
        yield 1000 * took / count, peak_memory()


def written(
    counts: Sequence[int], folder: Path, train: Part, plan: SamplingPlan
) -> Iterator[tuple[float, float]]:
    """The same of writing so many texts, in batches of one size."""
    generator = Generator.load(folder)
    for count in counts:
        with TemporaryDirectory() as scratch:
            file, whole = Path(scratch, "samples.jsonl"), replace(plan, num_samples=count)
            took = seconds(lambda: samples.generate(generator, train, whole, file))  # noqa: B023
        yield 1000 * took / count, peak_memory()


def peak_memory() -> float:
    """The most memory that this process has held so far, in MB.

    Linux keeps it per program; what ``getrusage`` says there is also that of the process that
    started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) / 1000
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
