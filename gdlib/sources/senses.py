"""Word sense disambiguation: words in a sentence whose right sense is known, embedded or from a
folder.

::

    data = load("wordnet", seed=0)           # WordNet's own example sentences
    data = load("path/to/wsd", seed=0)       # SemCor and the sets of Raganato et al. 2017

A folder holds one parquet table per set: ``semcor`` (or ``train``) to train on, ``semeval2007`` (or
``validation``) to choose by, and every other table is a test set. Columns: tokens (list of str,
``_`` joins the parts of a multi-word token), target (index into tokens), lemma, pos (noun, verb,
adj, adv), sense_keys (list of str, each of them right), and maybe id.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from gdlib.core.errors import BadCorpus
from gdlib.core.settings import digest
from gdlib.sources import tables
from gdlib.sources.cards import cards
from gdlib.sources.parts import normalise
from gdlib.sources.splits import SENSES_TEST_SEED, drawn
from gdlib.sources.wordnet import POS, Sense, candidates

EMBEDDED = "wordnet"
EXAMPLES = "examples"  # the test set of a corpus that is divided by lemma
TRAIN, HELD_OUT = ("semcor", "train"), ("semeval2007", "validation")
TEST_SHARE, HELD_OUT_SHARE = 0.15, 0.1  # of the lemmas, where a corpus is divided by them


@dataclass(frozen=True)
class Instance:
    """One word in its sentence.

    Args:
        id: unique within its set.
        tokens: the sentence; ``_`` joins the parts of a token of several words.
        target: which token is meant.
        lemma: its lemma as in WordNet.
        pos: of :data:`gdlib.sources.wordnet.POS`.
        sense_keys: WordNet's keys of the senses that are right here, one or more.
    """

    id: str
    tokens: tuple[str, ...]
    target: int
    lemma: str
    pos: str
    sense_keys: tuple[str, ...]

    @cached_property
    def candidates(self) -> tuple[Sense, ...]:
        """What the word may mean, the most frequent sense first; empty where WordNet does not have
        the lemma.
        """
        return candidates(self.lemma, self.pos)

    @cached_property
    def gold(self) -> tuple[bool, ...]:
        """Which of the candidates are right."""
        return tuple(sense.sense_key in self.sense_keys for sense in self.candidates)

    @property
    def synsets(self) -> set[str]:
        """The synsets of the candidates that are right."""
        return {sense.synset for sense, right in zip(self.candidates, self.gold) if right}

    @property
    def word(self) -> str:
        """The target as it stands in the sentence."""
        return self.tokens[self.target].replace("_", " ")

    @property
    def sides(self) -> tuple[str, str]:
        """The sentence to the left and to the right of the target."""
        return _joined(self.tokens[: self.target]), _joined(self.tokens[self.target + 1 :])

    @property
    def teaches(self) -> bool:
        """Whether there is something to learn: two candidates or more, a right one and a wrong one
        among them.
        """
        return any(self.gold) and not all(self.gold)


COLUMNS = [column.name for column in fields(Instance)]


def _joined(tokens: Sequence[str]) -> str:
    return " ".join(tokens).replace("_", " ")


@dataclass(frozen=True)
class SenseData:
    """Instances to train on, to choose by, and to test on.

    ``dropped`` counts what the split had to leave out, by why.
    """

    name: str
    train: list[Instance]
    held_out: list[Instance]
    tests: dict[str, list[Instance]]
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, list[Instance]]:
        return {"train": self.train, "held-out": self.held_out, **self.tests}

    @cached_property
    def digest(self) -> str:
        """Over the instances of every part, in their order."""
        return digest({name: list(map(astuple, part)) for name, part in self.parts.items()})

    def counts(self) -> pd.DataFrame:
        """A row per part: part, instances, one column per part of speech, candidates (mean),
        polysemous (share).
        """
        rows = []
        for name, part in self.parts.items():
            pos = [instance.pos for instance in part]
            choices = pd.Series([len(instance.candidates) for instance in part], dtype=float)
            means = choices.mean(), (choices > 1).mean()
            rows.append([name, len(part), *map(pos.count, POS), *means])
        columns = ["part", "instances", *POS, "candidates", "polysemous"]
        return pd.DataFrame(rows, columns=columns)


def load(name: str, seed: int) -> SenseData:
    """The data of that name: of a card of senses, or the path of a folder.

    Raises:
        UnknownName: neither.
        BadCorpus: a folder without what is needed, or a row that cannot be studied; the message
            says which.
    """
    known = cards("senses")
    if name in known:
        folder, sets = Path(name), tables.read_card(name, "senses")
        if list(sets) == ["train"]:
            return split(instances_of(f"sense data {name}", sets["train"]), seed, name)
    else:
        hint = "or a folder of parquet files"
        folder = tables.folder("sense data", "sense data", name, known, hint)
        sets = {path.stem.lower(): tables.read(path) for path in sorted(folder.glob("*.parquet"))}
    train, held_out = ([each for each in names if each in sets][:1] for names in (TRAIN, HELD_OUT))
    tests = [each for each in sets if each not in (*TRAIN, *HELD_OUT)]
    if not (train and held_out and tests):
        raise BadCorpus(
            f"sense data folder {folder} holds {', '.join(sets) or 'no parquet file'}; expected "
            f"{' or '.join(TRAIN)}, {' or '.join(HELD_OUT)}, and one test set or more"
        )
    first, second, *others = (
        instances_of(f"sense data {folder / each}.parquet", sets[each])
        for each in (*train, *held_out, *tests)
    )
    return SenseData(folder.resolve().name, first, second, dict(zip(tests, others)))


def instances_of(where: str, table: pd.DataFrame) -> list[Instance]:
    """The rows of a table as instances; the first that cannot be studied is the message."""
    if "id" not in table.columns:
        table = table.assign(id=[str(number) for number in range(len(table))])
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise BadCorpus(
            f"{where} lacks {', '.join(missing)}; expected the columns {', '.join(COLUMNS[1:])}"
        )
    if not len(table):
        raise BadCorpus(f"{where} has no row")
    instances = []
    for name, tokens, target, lemma, pos, keys in table[COLUMNS].itertuples(index=False):
        fault = ""
        if pos not in POS:
            fault = f'part of speech "{pos}"; known: {", ".join(POS)}'
        elif not 0 <= target < len(tokens):
            fault = f"target {target} is none of its {len(tokens)} tokens"
        elif not len(keys):
            fault = "no sense key"
        if fault:
            raise BadCorpus(f"{where}, id {name}: {fault}")
        lemma = lemma.lower().replace(" ", "_")
        instances.append(Instance(name, tuple(tokens), int(target), lemma, pos, tuple(keys)))
    return instances


def sample(instances: Sequence[Instance], size: int, seed: int) -> list[Instance]:
    """At most ``size`` of the instances (0: all), drawn by the seed, in their order."""
    return [instances[i] for i in drawn(len(instances), size or len(instances), seed)]


def split(instances: Sequence[Instance], seed: int, name: str = EMBEDDED) -> SenseData:
    """Divide by lemma, so that no lemma, no synset's examples and no sentence are on two sides.

    A split by synset alone would let a test word's other senses be learnt as right and its gold
    sense only as wrong: a network that remembers glosses would then do worse than chance. With the
    lemmas apart no sense of a test word has been right or wrong in training because of that word.
    An instance whose lemma and synset fall on different sides is left out; the test side does not
    depend on the seed.
    """
    lemmas = sorted({instance.lemma for instance in instances})
    in_test = np.random.default_rng(SENSES_TEST_SEED).random(len(lemmas)) < TEST_SHARE
    in_held_out = np.random.default_rng(seed).random(len(lemmas)) < HELD_OUT_SHARE
    side_of_lemma = dict(zip(lemmas, np.where(in_test, 2, in_held_out).tolist()))
    side_of_synset: dict[str, int] = {}
    for instance in instances:
        for synset in instance.synsets:
            side = max(side_of_synset.get(synset, 0), side_of_lemma[instance.lemma])
            side_of_synset[synset] = side
    sides: list[list[Instance]] = [[], [], []]
    dropped = {"lemma and synset on two sides": 0, "sentence on two sides": 0}
    for instance in instances:
        side = side_of_lemma[instance.lemma]
        if {side_of_synset[synset] for synset in instance.synsets} <= {side}:
            sides[side].append(instance)
        else:
            dropped["lemma and synset on two sides"] += 1
    taken: set[str] = set()
    for side in (2, 1, 0):
        keys = [normalise(_joined(instance.tokens)) for instance in sides[side]]
        alone = [instance for instance, key in zip(sides[side], keys) if key not in taken]
        dropped["sentence on two sides"] += len(keys) - len(alone)
        sides[side] = alone
        taken.update(keys)
    train, held_out, test = sides
    return SenseData(name, train, held_out, {EXAMPLES: test}, dropped)
