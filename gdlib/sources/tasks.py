"""Tasks of language understanding: texts, or pairs of texts, with a label or a number to tell.

::

    task = load("movies", Sizes(600, 0.2, 500), seed=0)          # or "bbc", "wordnet", "word-in-context"
    task = load("path/to/mrpc", Sizes(2000, 0.2, 2000), seed=0)  # or "path/to/sick:relatedness"

A folder holds tables named by their split, as for :mod:`gdlib.sources.corpora`. Their text is the
column ``text`` or ``sentence``, or a pair of columns of :data:`PAIRS` (those of GLUE); what is told
is the column ``label``, or the one named after a colon: a class, or, where it holds numbers with
fractions, the number itself.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from gdlib.core.errors import BadCorpus, unknown
from gdlib.core.settings import digest
from gdlib.sources import corpora
from gdlib.sources import senses as wsd
from gdlib.sources.embedded import CORPORA
from gdlib.sources.splits import normalise

WORD_IN_CONTEXT = "word-in-context"
EMBEDDED = {name: card.help for name, card in CORPORA.items()} | {
    WORD_IN_CONTEXT: "two of WordNet's example sentences with one word: the same sense of it, or another?"
}
PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("question1", "question2"),
)
SINGLE = ("text", "sentence", "sentence1")
TEST_SEED = 22130108  # of the test part's draw, whatever seed the study has
TEST_SHARE = 1 / 3  # of a task without a test part of its own, at most
PAIRS_A_LEMMA = 4  # of each label, at most, in word-in-context


@dataclass(frozen=True)
class Texts:
    """Some texts; ``second`` is empty where they stand alone.

    ``gold``: class indices, or numbers.
    """

    first: list[str]
    second: list[str]
    gold: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: Sequence[int]) -> "Texts":
        return Texts(
            [self.first[i] for i in rows],
            [self.second[i] for i in rows] if self.second else [],
            self.gold[rows],
        )

    def keys(self) -> Iterator[tuple[str, ...]]:
        """What makes two of them the same, one by one."""
        return (
            (normalise(a), normalise(b))
            for a, b in zip(self.first, self.second or [""] * len(self.first), strict=True)
        )


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
        labels: the class names; none where a number is to be told.
        train, held_out: drawn by the seed from the same texts; the held-out part is what is chosen
            by.
        test: the same for every seed, never chosen by.
        dropped: training texts left out because they are test texts too, or occur twice.
    """

    name: str
    labels: tuple[str, ...]
    train: Texts
    held_out: Texts
    test: Texts
    dropped: int = 0

    @property
    def parts(self) -> dict[str, Texts]:
        return {"train": self.train, "held-out": self.held_out, "test": self.test}

    @cached_property
    def digest(self) -> str:
        return digest(
            [
                self.labels,
                [[part.first, part.second, part.gold.tolist()] for part in self.parts.values()],
            ]
        )


@dataclass(frozen=True)
class Source:
    """A task before anything is drawn: a train part, maybe a test part, and the labels (none:
    numbers).
    """

    name: str
    labels: tuple[str, ...]
    train: Texts
    test: Texts | None = None


def load(name: str, sizes: Sizes, seed: int, seen: Collection[str] = ()) -> Task:
    """The task of that name, its parts drawn: the test part by a seed of its own, the others by
    ``seed``.

    Tested on is the task's test part; where it has none the validation part, as usual for GLUE;
    where it has neither, at most a third of train. A validation part is not used otherwise: what is
    chosen by is held out of the training texts.

    Args:
        name: of :data:`EMBEDDED`, or the path of a folder, maybe with ``:COLUMN``.
        sizes: of the parts.
        seed: of the draw of train and held-out.
        seen: lemmas that an encoder has met before: word-in-context leaves them out.

    Raises:
        UnknownName: no such task.
        BadCorpus: its texts cannot be studied as they are; the message says why.
    """
    source = (
        word_in_context(seen)
        if name == WORD_IN_CONTEXT
        else _embedded(name)
        if name in CORPORA
        else _folder(name)
    )
    test, pool = source.test, source.train
    if test is None:
        order = np.random.default_rng(TEST_SEED).permutation(len(pool))
        wanted = min(sizes.test or len(pool), int(len(pool) * TEST_SHARE))
        test, pool = pool.take(np.sort(order[:wanted])), pool.take(np.sort(order[wanted:]))
    taken, kept = set(test.keys()), []
    for row, key in enumerate(pool.keys()):
        if key not in taken:
            taken.add(key)
            kept.append(row)
    dropped = len(pool) - len(kept)
    if sizes.test and sizes.test < len(test):
        test = test.take(
            np.sort(np.random.default_rng(TEST_SEED).permutation(len(test))[: sizes.test])
        )
    drawn = np.random.default_rng(seed).permutation(kept)[: sizes.train or None]
    held_out = round(len(drawn) * sizes.held_out_share)
    if not 0 < held_out < len(drawn) or len(test) < 2:
        raise BadCorpus(
            f"task {name}: {len(drawn)} training texts, {held_out} of them held out, and "
            f"{len(test)} test texts; too few to study"
        )
    return Task(
        source.name,
        source.labels,
        pool.take(drawn[held_out:]),
        pool.take(drawn[:held_out]),
        test,
        dropped,
    )


def _embedded(name: str) -> Source:
    corpus = corpora.load(name)
    part = corpus.parts["train"]
    return Source(name, corpus.labels, Texts(part.texts, [], np.array(part.labels)))


def _folder(name: str) -> Source:
    path, _, target = name.partition(":")
    if not Path(path).is_dir():
        if "/" in path or "\\" in path or path.startswith("."):
            raise BadCorpus(
                f"task folder {path} does not exist; known tasks: {', '.join(EMBEDDED)}"
            )
        raise unknown("task", name, EMBEDDED, "or a folder")
    folder = Path(path).resolve()
    tables, names = corpora.read_folder(folder, "task", "test or validation")
    columns = list(tables["train"].columns)
    pair = next((pair for pair in PAIRS if set(pair) <= set(columns)), None)
    first = pair[0] if pair else next((one for one in SINGLE if one in columns), None)
    if first is None:
        said = ", ".join(" + ".join(pair) for pair in PAIRS)
        raise BadCorpus(
            f"task folder {folder.name} has the columns {', '.join(columns)}; expected "
            f"{', '.join(SINGLE)}, or one of the pairs {said}"
        )
    target = target or "label"
    if target not in columns:
        raise BadCorpus(
            f'task folder {folder.name} has no column "{target}"; found: {", ".join(columns)}'
        )
    tables = {split: table.drop(columns=["text", "label"], errors="ignore").assign(text=table[first], label=table[target])
              for split, table in tables.items() if split != "unlabeled" and {first, target} <= set(table.columns)}  # fmt: skip
    name = folder.name if target == "label" else f"{folder.name}:{target}"
    numbers = pd.to_numeric(tables["train"]["label"], errors="coerce")
    if numbers.notna().all() and (numbers % 1 != 0).any():
        return _source(
            name,
            (),
            {
                split: (table, table["label"].astype(float).to_numpy())
                for split, table in tables.items()
            },
            pair,
        )
    # the one door for labelled texts: it checks them, and gives the classes their order
    corpus = corpora.build(
        name, tables, "a folder", "as its owner says", names if target == "label" else ()
    )
    return _source(
        name,
        corpus.labels,
        {split: (tables[split], np.array(part.labels)) for split, part in corpus.parts.items()},
        pair,
    )


def _source(
    name: str,
    labels: tuple[str, ...],
    parts: Mapping[str, tuple[pd.DataFrame, np.ndarray]],
    pair: tuple[str, str] | None,
) -> Source:
    texts = {}
    for split, (table, gold) in parts.items():
        second = table[pair[1]].tolist() if pair else []
        for column in (table["text"], second):
            if empty := [
                row
                for row, text in enumerate(column, 1)
                if not isinstance(text, str) or not text.strip()
            ]:
                raise BadCorpus(
                    f"task {name}: {split} has {len(empty)} empty texts, the first in row "
                    f"{empty[0]} (the header not counted)"
                )
        texts[split] = Texts(table["text"].tolist(), second, gold)
    return Source(name, labels, texts["train"], texts.get("test", texts.get("validation")))


def word_in_context(seen: Collection[str] = ()) -> Source:
    """Pairs of WordNet's example sentences with one lemma, in quotes: is it the same sense (after
    Pilehvar and Camacho-Collados 2019)?

    Only lemmas of the embedded test side are taken (:func:`gdlib.sources.senses.split`), and none
    of ``seen``: no encoder has been trained on them. Half of the lemmas are for testing; no
    sentence is on both sides. Each lemma has as many pairs of one label as of the other, so that
    the lemma alone tells nothing.
    """
    instances = [
        one
        for one in wsd.load(wsd.EMBEDDED, seed=0).tests[wsd.EXAMPLES]
        if one.lemma not in set(seen)
    ]
    lemmas = sorted({one.lemma for one in instances})
    for_test = dict(zip(lemmas, np.random.default_rng(TEST_SEED).random(len(lemmas)) < 0.5))
    groups: dict[tuple[str, str], list[wsd.Instance]] = defaultdict(list)
    for one in instances:
        groups[one.lemma, one.pos].append(one)
    pairs: dict[bool, list[tuple[str, str, int]]] = {False: [], True: []}
    for place, ((lemma, _), group) in enumerate(sorted(groups.items())):
        of = {
            label: [pair for pair in combinations(group, 2) if same_sense(*pair) is label]
            for label in (False, True)
        }
        number = min(PAIRS_A_LEMMA, len(of[False]), len(of[True]))
        for label, found in of.items():
            chosen = np.random.default_rng([TEST_SEED, place]).permutation(len(found))[:number]
            pairs[bool(for_test[lemma])] += [
                (quoted(found[i][0]), quoted(found[i][1]), int(label)) for i in chosen
            ]
    in_test = {normalise(text) for first, second, _ in pairs[True] for text in (first, second)}
    pairs[False] = [
        pair for pair in pairs[False] if not in_test & {normalise(pair[0]), normalise(pair[1])}
    ]
    train, test = (
        Texts([p[0] for p in side], [p[1] for p in side], np.array([p[2] for p in side], dtype=int))
        for side in pairs.values()
    )
    if not len(train) or not len(test):
        raise BadCorpus(
            f"task {WORD_IN_CONTEXT}: too few lemmas are left beside the {len(seen)} that "
            "lexical training met"
        )
    return Source(WORD_IN_CONTEXT, ("another sense", "the same sense"), train, test)


def same_sense(one: wsd.Instance, other: wsd.Instance) -> bool | None:
    """Whether two instances of a lemma have the same right senses; None where they share some but
    not all of them.
    """
    a, b = (set(instance.sense_keys) for instance in (one, other))
    return True if a == b else False if not a & b else None


def quoted(instance: wsd.Instance) -> str:
    """The sentence with the word in quotes, as in lexical training."""
    left, right = instance.sides
    return " ".join(part for part in (left, f'" {instance.word} "', right) if part)
