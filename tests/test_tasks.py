"""Tasks of language understanding: folders in GLUE's forms, word-in-context, the draw, and every
refusal.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

from gdlib.core.errors import BadCorpus, UnknownName
from gdlib.sources import senses as wsd
from gdlib.sources import tasks
from gdlib.sources.parts import normalise
from gdlib.sources.tasks import Sizes
from gdlib.sources.word_in_context import quoted

SIZES = Sizes(20, 0.25, 0)


def pairs(folder: Path, **parts: pd.DataFrame) -> str:
    folder.mkdir()
    for split, table in parts.items():
        table.to_parquet(folder / f"{split}.parquet")
    return str(folder)


def table(number: int, start: int = 0, **columns: list) -> pd.DataFrame:
    rows = range(start, start + number)
    made = {
        "sentence1": [f"one {i}" for i in rows],
        "sentence2": [f"two {i}" for i in rows],
        "label": [i % 2 for i in rows],
    }
    return pd.DataFrame(made | columns)


def test_pairs_are_tested_on_the_test_part_or_else_on_validation(tmp_path: Path) -> None:
    both = pairs(tmp_path / "mrpc", train=table(30), validation=table(6, 50), test=table(9, 70))
    task = tasks.load(both, SIZES, seed=0)
    assert task.name == "mrpc" and task.labels == ("0", "1")
    assert task.test.texts == [f"one {i}" for i in range(70, 79)] and task.test.gold.tolist() == [
        0,
        1,
    ] * 4 + [0]
    assert (len(task.train), len(task.held_out)) == (15, 5)
    for text, other, label in zip(task.train.texts, task.train.second, task.train.gold):
        assert text.replace("one", "two") == other and int(text.split()[1]) % 2 == label
    cola = pairs(
        tmp_path / "cola",
        train=table(30).drop(columns="sentence2"),
        validation=table(6, 50).drop(columns="sentence2"),
    )
    alone = tasks.load(cola, SIZES, seed=0)
    assert alone.test.texts == [f"one {i}" for i in range(50, 56)] and alone.test.second == []
    assert tasks.load(str(tiny.corpus(tmp_path / "words")), SIZES, seed=0).train.second == []


def test_the_draw_keeps_parts_apart_and_the_test_part_for_every_seed(tmp_path: Path) -> None:
    name = pairs(
        tmp_path / "rte", train=pd.concat([table(40), table(5), table(4, 100)]), test=table(30, 90)
    )
    one, other = (tasks.load(name, Sizes(20, 0.25, 12), seed=seed) for seed in (0, 1))
    assert (
        one.test.texts == other.test.texts
        and len(one.test) == 12
        and one.train.texts != other.train.texts
        and one.digest != other.digest
    )
    assert one.dropped == 5 + 4  # five twice, four in the whole test part, drawn or not
    keys = [set(part.keys()) for part in one.parts.values()]
    assert not (keys[0] & keys[1] or keys[0] & keys[2] or keys[1] & keys[2])
    own = tasks.load(pairs(tmp_path / "own", train=table(60)), Sizes(0, 0.2, 50), seed=3)
    assert [len(part) for part in own.parts.values()] == [32, 8, 20]


def test_a_column_of_numbers_is_told_as_such(tmp_path: Path) -> None:
    train = table(30, label=["NO", "YES", "MAYBE"] * 10, relatedness=[1.5, 2.0, 5.0] * 10)
    test = table(6, 50, label=["NO", "YES", "MAYBE"] * 2, relatedness=[1.0, 2.0, 3.5] * 2)
    sick = pairs(tmp_path / "sick", train=train, test=test)
    assert tasks.load(sick, SIZES, seed=0).labels == ("MAYBE", "NO", "YES")
    assert tasks.load(sick, SIZES, seed=0).test.gold.tolist() == [1, 2, 0] * 2
    numbers = tasks.load(f"{sick}:relatedness", SIZES, seed=0)
    assert (
        numbers.name == "sick:relatedness"
        and numbers.labels == ()
        and numbers.test.gold.tolist() == [1.0, 2.0, 3.5] * 2
    )
    with pytest.raises(
        BadCorpus,
        match=(
            'task folder sick has no column "score"; found: sentence1, sentence2, label, '
            "relatedness"
        ),
    ):
        tasks.load(f"{sick}:score", SIZES, seed=0)


def test_what_cannot_be_studied_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(
        UnknownName,
        match='unknown task "cola"; known: bbc, movies, wordnet, word-in-context .*or a folder',
    ):
        tasks.load("cola", SIZES, seed=0)
    with pytest.raises(
        BadCorpus,
        match=(
            "task folder data/cola does not exist; known tasks: bbc, movies, wordnet, "
            "word-in-context"
        ),
    ):
        tasks.load("data/cola", SIZES, seed=0)
    with pytest.raises(
        BadCorpus,
        match=(
            "task folder odd has the columns words, label; expected text, sentence, sentence1, "
            "or one of the pairs"
        ),
    ):
        tasks.load(
            pairs(
                tmp_path / "odd",
                train=table(30)[["sentence1", "label"]].rename(columns={"sentence1": "words"}),
            ),
            SIZES,
            seed=0,
        )
    with pytest.raises(BadCorpus, match="task gap: train has 1 empty texts, the first in row 2"):
        tasks.load(
            pairs(tmp_path / "gap", train=table(3, sentence2=["a", " ", "c"])), SIZES, seed=0
        )
    with pytest.raises(BadCorpus, match="has no train split: found test.parquet"):
        tasks.load(pairs(tmp_path / "half", test=table(3)), SIZES, seed=0)
    with pytest.raises(
        BadCorpus, match="2 training texts, 0 of them held out, and 9 test texts; too few to study"
    ):
        tasks.load(pairs(tmp_path / "few", train=table(2), test=table(9, 50)), SIZES, seed=0)


def test_word_in_context_is_balanced_by_lemma_and_apart_from_lexical_training() -> None:
    source = tasks.read("word-in-context")
    data = wsd.load("wordnet", seed=0)
    written = [quoted(one) for one in data.tests[wsd.EXAMPLES]]
    right = {
        text: one
        for text, one in zip(written, data.tests[wsd.EXAMPLES])
        if written.count(text) == 1
    }
    seen = {one.lemma for one in (*data.train, *data.held_out)}
    lemmas: list[set[str]] = []
    for part in source.parts.values():
        by_lemma: dict[tuple[str, str], list[int]] = {}
        known = [
            row
            for row in zip(part.texts, part.second, part.gold)
            if row[0] in right and row[1] in right
        ]
        assert len(known) > 0.98 * len(part)
        for first, second, label in known:
            one, other = right[first], right[second]
            assert (one.lemma, one.pos) == (other.lemma, other.pos) and f'" {one.word} "' in first
            assert (
                label
                == (set(one.sense_keys) == set(other.sense_keys))
                == bool(set(one.sense_keys) & set(other.sense_keys))
            )
            by_lemma.setdefault((one.lemma, one.pos), []).append(label)
        lemmas.append({lemma for lemma, _ in by_lemma})
        assert len(part) > 200 and 0.45 < np.mean(part.gold) < 0.55
    assert np.mean([sum(labels) * 2 == len(labels) for labels in by_lemma.values()]) > 0.98
    assert not lemmas[0] & lemmas[1] and not (lemmas[0] | lemmas[1]) & seen
    sentences = [
        {normalise(text) for text in (*part.texts, *part.second)} for part in source.parts.values()
    ]
    assert not sentences[0] & sentences[1]
    with pytest.raises(BadCorpus, match="too few lemmas are left beside the 1718"):
        tasks.read("word-in-context", {one.lemma for one in data.tests[wsd.EXAMPLES]})
