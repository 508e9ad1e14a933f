"""Tasks of language understanding: texts, or pairs of texts, with a label or a number to predict.

::

    task = load("movies", Sizes(600, 0.2, 500), seed=0)   # or "bbc", "wordnet", "word-in-context"
    task = load("path/to/mrpc", Sizes(2000, 0.2, 2000), seed=0)  # or "path/to/sick:relatedness"

A folder holds tables named by their split (:mod:`gdlib.sources.tables`). Their text is the column
``text`` or ``sentence``, or a pair of columns of :data:`PAIRS` (those of GLUE); the target is the
column ``label``, or the one named after a colon: a class, or, where it holds numbers with
fractions, the number itself.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from gdlib.core.errors import BadCorpus
from gdlib.core.settings import digest
from gdlib.sources import corpora, tables
from gdlib.sources.cards import cards
from gdlib.sources.corpora import Corpus
from gdlib.sources.parts import Part
from gdlib.sources.splits import TASKS_TEST_SEED, TEST_SHARE, drawn, shuffled

PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("question1", "question2"),
)
SINGLE = ("text", "sentence", "sentence1")


@dataclass(frozen=True)
class Sizes:
    """Of a task: texts to train on at most, the held-out share of them, and test texts at most (0:
    all).
    """

    train: int
    held_out_share: float
    test: int


@dataclass(frozen=True, eq=False)
class Task:
    """A task to fine-tune an encoder on. Its parts share no text (no pair).

    Args:
        name: as it stands in tables and figures; for a folder, its name.
        labels: the class names; none where the target is a number.
        train, held_out: drawn by the seed from the same texts; weights are chosen by the held-out
            part.
        test: the same for every seed, never chosen by.
        dropped: training texts left out because they are test texts too, or occur twice.
    """

    name: str
    labels: tuple[str, ...]
    train: Part
    held_out: Part
    test: Part
    dropped: int = 0

    @property
    def parts(self) -> dict[str, Part]:
        return {"train": self.train, "held-out": self.held_out, "test": self.test}

    @cached_property
    def digest(self) -> str:
        return digest([self.labels, [part.digest for part in self.parts.values()]])


def load(name: str, sizes: Sizes, seed: int, seen: Collection[str] = ()) -> Task:
    """The task of that name, its parts drawn: the test part by a seed of its own, the others by
    ``seed``.

    Tested on is the task's test part; where it has none the validation part, as usual for GLUE;
    where it has neither, at most a third of train. A validation part is not used otherwise: the
    held-out part, which weights are chosen by, comes out of the training texts.

    Args:
        name: of a card of texts or of a task, or the path of a folder, maybe with ``:COLUMN``.
        sizes: of the parts.
        seed: of the draw of train and held-out.
        seen: lemmas that an encoder has met before: word-in-context leaves them out.

    Raises:
        UnknownName: no such task.
        BadCorpus: its texts cannot be studied as they are; the message says why.
    """
    source = read(name, seen)
    pool = source.parts["train"]
    test = source.parts.get("test", source.parts.get("validation"))
    if test is None:
        wanted = min(sizes.test or len(pool), int(len(pool) * TEST_SHARE))
        rows = drawn(len(pool), wanted, TASKS_TEST_SEED)
        test, pool = pool.take(rows), pool.take(sorted({*range(len(pool))}.difference(rows)))
    distinct = pool.unseen(set(test.keys()))
    test = test.take(drawn(len(test), sizes.test or len(test), TASKS_TEST_SEED))
    rows = shuffled(len(distinct), seed)[: sizes.train or None]
    held_out = round(len(rows) * sizes.held_out_share)
    if not 0 < held_out < len(rows) or len(test) < 2:
        raise BadCorpus(
            f"task {name}: {len(rows)} training texts, {held_out} of them held out, and "
            f"{len(test)} test texts; too few to study"
        )
    parts = distinct.take(rows[held_out:]), distinct.take(rows[:held_out]), test
    return Task(source.name, source.labels, *parts, len(pool) - len(distinct))


def read(name: str, seen: Collection[str] = ()) -> Corpus:
    """The texts of the task of that name, all of them; arguments and errors as of :func:`load`. Its
    labels are none where the targets are numbers.
    """
    known = cards("texts", "task")
    if name in known:
        kind, *arguments = ("task", sorted(seen)) if "task" in known[name].readers else ("texts",)
        return _corpus(name, tables.read_card(name, kind, *arguments))
    path, colon, column = name.partition(":")
    folder = tables.folder("task", "tasks", path, known, "or a folder").resolve()
    splits, names = tables.read_folder(folder, "task", "test or validation")
    if not colon:
        return _corpus(folder.name, splits, names=names)
    return _corpus(f"{folder.name}:{column}", splits, column)


def _corpus(
    name: str, splits: tables.Tables, target: str = "label", names: Sequence[str] = ()
) -> Corpus:
    """A task from tables whose columns are named as in :data:`PAIRS` or :data:`SINGLE`."""
    where, columns = f"task folder {name.partition(':')[0]}", list(splits["train"].columns)
    pair = next((list(pair) for pair in PAIRS if set(pair) <= set(columns)), None)
    texts = pair or [column for column in SINGLE if column in columns][:1]
    if not texts:
        pairs = ", ".join(" + ".join(pair) for pair in PAIRS)
        raise BadCorpus(
            f"{where} has the columns {', '.join(columns)}; expected "
            f"{', '.join(SINGLE)}, or one of the pairs {pairs}"
        )
    tables.require(where, columns, target)
    named = ["text", corpora.SECOND, "label"] if pair else ["text", "label"]
    splits = {
        split: table[[*texts, target]].set_axis(named, axis=1)
        for split, table in splits.items()
        if split != "unlabeled" and {*texts, target} <= set(table.columns)
    }
    corpora.check(f"task {name}: train", splits["train"], "label")
    numbers = pd.to_numeric(splits["train"]["label"], errors="coerce")
    if numbers.isna().any() or not (numbers % 1).any():
        return corpora.build(name, splits, names, "task")
    parts = {}
    for split, table in splits.items():
        corpora.check(f"task {name}: {split}", table, "label")
        faulty = ~np.isfinite(pd.to_numeric(table["label"], errors="coerce"))
        tables.refuse_rows(f"task {name}: {split}", "targets that are no finite number", faulty)
        parts[split] = corpora.to_part(table, table["label"].astype(float).tolist())
    return Corpus(name, (), parts)
