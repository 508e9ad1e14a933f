"""Word sense disambiguation: words in a sentence whose right sense is known, embedded or from a
folder.

::

    data = load("wordnet", seed=0)           # WordNet's own example sentences
    data = load("path/to/wsd", seed=0)       # SemCor and the sets of Raganato et al. 2017

A folder holds one parquet table a set: ``semcor`` (or ``train``) to train on, ``semeval2007`` (or
``validation``) to choose by, and every other table is a test set. Columns: tokens (list of str,
``_`` joins the parts of a multi-word token), target (index into tokens), lemma, pos (noun, verb,
adj, adv), sense_keys (list of str, each of them right), and maybe id.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from pyarrow import ArrowInvalid

from gdlib.core.errors import BadCorpus, unknown
from gdlib.core.settings import digest
from gdlib.sources import wordnet
from gdlib.sources.lexicon import POS, Sense, base_forms, candidates
from gdlib.sources.splits import normalise

EMBEDDED = "wordnet"
EXAMPLES = "examples"  # the embedded test set
TRAIN, HELD_OUT = ("semcor", "train"), ("semeval2007", "validation")
COLUMNS = ("tokens", "target", "lemma", "pos", "sense_keys")
WORD = re.compile(r"\w+(?:[-'.]\w+)*|[^\w\s]")
TEST_SHARE, HELD_OUT_SHARE = 0.15, 0.1  # of the lemmas of the embedded sentences
TEST_SEED = 21060796  # of the test lemmas' draw, whatever seed the study has


@dataclass(frozen=True)
class Instance:
    """One word in its sentence.

    Args:
        id: unique within its set.
        tokens: the sentence; ``_`` joins the parts of a token of several words.
        target: which token is meant.
        lemma: its lemma as in WordNet.
        pos: of :data:`gdlib.sources.lexicon.POS`.
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
        """What the word may mean, the most frequent sense first; empty where WordNet hasn't the
        lemma.
        """
        return candidates(self.lemma, self.pos)

    @cached_property
    def gold(self) -> tuple[bool, ...]:
        """Which of the candidates are right."""
        return tuple(sense.sense_key in self.sense_keys for sense in self.candidates)

    @property
    def word(self) -> str:
        """The target as it stands in the sentence."""
        return self.tokens[self.target].replace("_", " ")

    @property
    def sides(self) -> tuple[str, str]:
        """The sentence to the left and to the right of the target."""
        left, right = self.tokens[: self.target], self.tokens[self.target + 1 :]
        return " ".join(left).replace("_", " "), " ".join(right).replace("_", " ")

    @property
    def teaches(self) -> bool:
        """Whether there is something to learn: two candidates or more, a right one and a wrong one
        among them.
        """
        return any(self.gold) and not all(self.gold)


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
        return digest({name: digest_of(part) for name, part in self.parts.items()})

    def counts(self) -> pd.DataFrame:
        """A row a part: part, instances, one column a part of speech, candidates (mean), polysemous
        (share).
        """
        rows = []
        for name, part in self.parts.items():
            pos, of = (
                pd.Series([one.pos for one in part]),
                np.array([len(one.candidates) for one in part]),
            )
            row = {"part": name, "instances": len(part)} | {p: int((pos == p).sum()) for p in POS}
            rows.append(
                row
                | {
                    "candidates": of.mean() if len(of) else np.nan,
                    "polysemous": (of > 1).mean() if len(of) else np.nan,
                }
            )
        return pd.DataFrame(rows)


def load(name: str, seed: int) -> SenseData:
    """The data of that name: ``wordnet``, or the path of a folder.

    Raises:
        UnknownName: neither.
        BadCorpus: a folder without what is needed, or a row that cannot be studied; the message
            says which.
    """
    if name == EMBEDDED:
        return split(example_instances(), seed)
    if Path(name).is_dir():
        return _from_folder(Path(name))
    if "/" in name or "\\" in name or name.startswith("."):
        raise BadCorpus(
            f"sense data folder {name} does not exist; expected {EMBEDDED}, or a folder "
            f"with {TRAIN[0]}.parquet and others"
        )
    raise unknown("sense data", name, (EMBEDDED,), "or a folder of parquet files")


def sample(instances: Sequence[Instance], size: int, seed: int) -> list[Instance]:
    """At most ``size`` of the instances (0: all), drawn by the seed, in their order."""
    if not size or size >= len(instances):
        return list(instances)
    return [
        instances[i] for i in sorted(np.random.default_rng(seed).permutation(len(instances))[:size])
    ]


def digest_of(instances: Iterable[Instance]) -> str:
    """Digest of instances, in their order."""
    return digest(
        [[one.id, one.tokens, one.target, one.lemma, one.pos, one.sense_keys] for one in instances]
    )


# ---- embedded: WordNet's example sentences


def example_instances() -> list[Instance]:
    """WordNet's example sentences that hold one of their own synset's lemmas, in any of its forms,
    that has several senses.

    The first place where the lemma stands is the target. A sentence that two synsets of the lemma
    give as an example is one instance with two right senses.
    """
    found: dict[tuple[str, str, str], Instance] = {}
    table = wordnet.senses()
    table = table[table.groupby(["lemma", "pos"])["rank"].transform("size") > 1]
    for key, lemma, pos, synset, sentences in table[
        ["sense_key", "lemma", "pos", "synset", "examples"]
    ].itertuples(index=False):
        for number, sentence in enumerate(sentences):
            if (earlier := found.get((sentence, lemma, pos))) is not None:
                keys = tuple(dict.fromkeys((*earlier.sense_keys, key)))
                found[sentence, lemma, pos] = Instance(
                    earlier.id, earlier.tokens, earlier.target, lemma, pos, keys
                )
            elif (place := find(sentence, lemma, pos)) is not None:
                found[sentence, lemma, pos] = Instance(
                    f"{synset}.{number}.{lemma}", *place, lemma, pos, (key,)
                )
    return list(found.values())


def find(sentence: str, lemma: str, pos: str) -> tuple[tuple[str, ...], int] | None:
    """The tokens of a sentence and the place of the first that is a form of the lemma; None where
    there is none.

    The words of a form of a multi-word lemma become one token: "it took place here" gives it,
    took_place, here.
    """
    tokens, parts = WORD.findall(sentence), lemma.split("_")
    for start in range(len(tokens) - len(parts) + 1):
        window = tokens[start : start + len(parts)]
        if all(part in base_forms(word.lower(), pos) for part, word in zip(parts, window)):
            return (*tokens[:start], "_".join(window), *tokens[start + len(parts) :]), start
    return None


def split(instances: Sequence[Instance], seed: int) -> SenseData:
    """Divide by lemma, so that no lemma, no synset's examples and no sentence are on two sides.

    A split by synset alone would let a test word's other senses be learnt as right and its gold
    sense only as wrong: a network that remembers glosses would then do worse than chance. With the
    lemmas apart no sense of a test word has been right or wrong in training because of that word.
    An instance whose lemma and synset fall on different sides is left out; the test side does not
    depend on the seed.
    """
    lemmas = sorted({one.lemma for one in instances})
    in_test = np.random.default_rng(TEST_SEED).random(len(lemmas)) < TEST_SHARE
    in_held_out = np.random.default_rng(seed).random(len(lemmas)) < HELD_OUT_SHARE
    side_of_lemma = dict(zip(lemmas, np.where(in_test, 2, np.where(in_held_out, 1, 0)).tolist()))
    side_of_synset: dict[str, int] = {}
    for one in instances:
        for synset in _right_synsets(one):
            side_of_synset[synset] = max(side_of_synset.get(synset, 0), side_of_lemma[one.lemma])
    sides: list[list[Instance]] = [[], [], []]
    dropped = {"lemma and synset on two sides": 0, "sentence on two sides": 0}
    for one in instances:
        side = side_of_lemma[one.lemma]
        if any(side_of_synset[synset] != side for synset in _right_synsets(one)):
            dropped["lemma and synset on two sides"] += 1
        else:
            sides[side].append(one)
    taken: set[str] = set()
    for side in (2, 1, 0):
        sentences = [normalise(" ".join(one.tokens).replace("_", " ")) for one in sides[side]]
        kept = [one for one, sentence in zip(sides[side], sentences) if sentence not in taken]
        dropped["sentence on two sides"] += len(sides[side]) - len(kept)
        sides[side] = kept
        taken.update(sentences)
    return SenseData(EMBEDDED, sides[0], sides[1], {EXAMPLES: sides[2]}, dropped)


def _right_synsets(instance: Instance) -> list[str]:
    return [sense.synset for sense, right in zip(instance.candidates, instance.gold) if right]


# ---- a folder of tables


def _from_folder(folder: Path) -> SenseData:
    files = {path.stem.lower(): path for path in sorted(folder.glob("*.parquet"))}
    train, held_out = (
        next((name for name in names if name in files), None) for names in (TRAIN, HELD_OUT)
    )
    tests = [name for name in files if name not in (*TRAIN, *HELD_OUT)]
    if train is None or held_out is None or not tests:
        raise BadCorpus(
            f"sense data folder {folder} holds {', '.join(files) or 'no parquet file'}; "
            f"expected {' or '.join(TRAIN)}, "
            f"{' or '.join(HELD_OUT)}, and one test set or more"
        )
    parts = {name: _read(files[name]) for name in (train, held_out, *tests)}
    return SenseData(
        folder.resolve().name, parts[train], parts[held_out], {name: parts[name] for name in tests}
    )


def _read(path: Path) -> list[Instance]:
    try:
        table = pd.read_parquet(path)
    except (OSError, ArrowInvalid) as error:
        raise BadCorpus(f"sense data {path} cannot be read: {str(error).splitlines()[0]}") from None
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise BadCorpus(
            f"sense data {path} lacks {', '.join(missing)}; expected the columns "
            f"{', '.join(COLUMNS)}"
        )
    if not len(table):
        raise BadCorpus(f"sense data {path} has no row")
    if "id" not in table.columns:
        table["id"] = [str(number) for number in range(len(table))]
    instances = []
    for row in table[["id", *COLUMNS]].itertuples(index=False):
        if row.pos not in POS:
            raise BadCorpus(
                f'sense data {path}, id {row.id}: part of speech "{row.pos}"; known: '
                f"{', '.join(POS)}"
            )
        if not 0 <= row.target < len(row.tokens):
            raise BadCorpus(
                f"sense data {path}, id {row.id}: target {row.target} is none of its "
                f"{len(row.tokens)} tokens"
            )
        if not len(row.sense_keys):
            raise BadCorpus(f"sense data {path}, id {row.id}: no sense key")
        lemma = row.lemma.lower().replace(" ", "_")
        instances.append(
            Instance(
                row.id, tuple(row.tokens), int(row.target), lemma, row.pos, tuple(row.sense_keys)
            )
        )
    return instances
