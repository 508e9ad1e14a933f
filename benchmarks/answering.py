"""Rows on what a trained student is taken for: its answers, its size, and the commands."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.timing import Call, Lines, Missing, Work, compare, seconds
from benchmarks.workbench import (
    BASE,
    INT8,
    MODEL2VEC,
    ONNX,
    PLAIN,
    TEACHER,
    TFIDF,
    TORCH,
    Answer,
    Workbench,
    set_threads,
    unless_missing,
)
from gdlib.networks import costs, export


def one_text(bench: Workbench) -> Lines:
    """From a text to the probabilities of its classes, cutting into pieces included."""
    return answered(bench, "one text", 1)


def many_texts(bench: Workbench) -> Lines:
    """The same for 32 texts at a time."""
    return answered(bench, "32 texts", 32)


def answered(bench: Workbench, row: str, batch: int) -> Lines:
    """The median time of a call with so many texts, on one thread."""
    texts = bench.texts[: bench.sizes.answered]
    inputs = [texts[i : i + batch] for i in range(0, len(texts) - batch + 1, batch)]

    def timed(answer: Answer) -> Call:
        return lambda _: costs.latency(answer, inputs, repeats=1).p50

    calls = {
        name: answer if isinstance(answer, Missing) else timed(answer)
        for name, answer in (bench.answers | {BASE: bench.piped(base=True)}).items()
    }
    study, student = bench.study, bench.study.student()
    counted, _ = costs.costs(
        study.teacher, study.vocabulary, {ONNX: student}, texts[:32], repeats=1
    )
    operations = dict(zip(counted["name"], batch * 1e6 * counted["megaflops"]))
    work = {name: Work(operations[ONNX], "fp32") for name in (ONNX, TORCH)}
    work[TEACHER] = Work(operations["teacher"], bench.precision)
    work[PLAIN] = Work(operations["teacher"], "fp32")
    with one_thread():
        return compare(row, "ms", calls, rounds=bench.rounds, ours=2, work=work, threads=1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch, BLAS and the tokenizers with one thread inside the block."""
    before = torch.get_num_threads()
    set_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        set_threads(before)


def sizes(bench: Workbench) -> Lines:
    """The files that a program needs to answer, tokenizer included."""
    exported, teacher = bench.exported, bench.study.trained_teacher().path
    reads = [exported / export.TOKENIZER, exported / export.ABOUT]
    needed = {
        ONNX: lambda: on_disk([exported / export.FULL, *reads]),
        INT8: lambda: on_disk([exported / export.SMALL, *reads]),
        TFIDF: lambda: len(pickle.dumps(bench.tfidf)),
        MODEL2VEC: lambda: (
            on_disk(bench.static.iterdir()) + len(pickle.dumps(bench.static_model[1]))
        ),
        TEACHER: lambda: on_disk([*teacher.glob("*.safetensors"), *teacher.glob("*token*")]),
    }
    calls = {name: lambda _, size=size: size() / 1e6 for name, size in needed.items()}
    calls[MODEL2VEC] = unless_missing(calls[MODEL2VEC], "model2vec", "skeletoken")
    return compare("size", "MB", calls, rounds=1, ours=2)


def on_disk(files: Sequence[Path] | Iterator[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())


def accuracy(bench: Workbench) -> Lines:
    """Right answers on the test part, as these networks were trained."""
    test = bench.study.splits.test

    def share(answer: Answer, _: int) -> float:
        return 100 * float(np.mean(answer(test.texts).argmax(1) == np.array(test.labels)))

    calls = {
        name: answer if isinstance(answer, Missing) else partial(share, answer)
        for name, answer in bench.answers.items()
        if name not in (TORCH, PLAIN)  # the same networks once more
    }
    return compare("accuracy", "% right", calls, rounds=1, ours=2)


def commands(bench: Workbench) -> Lines:
    """What a person waits for before anything is computed, against importing torch and
    transformers, which no study can do without.
    """
    code = {
        "gdlib list": "import sys; sys.argv = ['gdlib', 'list']; "
        "from gdlib.run.cli import main; main()",
        "gdlib status": "import sys; sys.argv = ['gdlib', 'status']; "
        "from gdlib.run.cli import main; main()",
        "import of study 1": "import gdlib.studies.generation.study",
        "import of torch and transformers": "import torch, transformers",
    }

    def started(source: str, _: int) -> float:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", source]
        run = partial(subprocess.run, command, check=True, capture_output=True, env=environment)
        return seconds(run)

    calls = {name: partial(started, source) for name, source in code.items()}
    return compare("commands", "s", calls, rounds=bench.rounds, ours=3)
