"""Words in sentences whose sense is known: WordNet as a dictionary, its example sentences, folders
like SemCor's.
"""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from gdlib.core.errors import BadCorpus, UnknownName
from gdlib.sources import senses as wsd
from gdlib.sources import tables, wordnet
from gdlib.sources.parts import normalise
from gdlib.sources.senses import Instance


@pytest.fixture(scope="module")
def instances() -> list[Instance]:
    return wsd.instances_of("wordnet", tables.read_card("wordnet", "senses")["train"])


# ---- the dictionary


def test_every_sense_is_a_candidate_of_its_lemma_in_the_order_of_ranks() -> None:
    table = wordnet.senses()
    found = {key for key in zip(table["lemma"], table["pos"])}
    listed = [wordnet.candidates(*key) for key in found]
    assert sum(map(len, listed)) == 206_941
    assert len({sense.synset for senses in listed for sense in senses}) == 117_659
    assert all(
        [sense.rank for sense in senses] == sorted(sense.rank for sense in senses)
        for senses in listed
    )
    bank = wordnet.candidates("bank", "noun")
    assert len(bank) == 10
    assert bank[0].definition == "sloping land (especially the slope beside a body of water)"
    assert (bank[0].sense_key, bank[0].tag_count, bank[0].examples[0]) == (
        "bank%1:17:01::",
        25,
        "they pulled the canoe up on the bank",
    )
    assert wordnet.candidates("no_such_word", "noun") == ()
    with pytest.raises(
        UnknownName, match='unknown part of speech "n"; known: noun, verb, adj, adv'
    ):
        wordnet.candidates("bank", "n")


@pytest.mark.parametrize(
    ("word", "pos", "lemma"),
    [
        ("took", "verb", "take"),
        ("geese", "noun", "goose"),
        ("better", "adj", "good"),
        ("best", "adv", "well"),
        ("cries", "verb", "cry"),
        ("boxes", "noun", "box"),
        ("making", "verb", "make"),
        ("larger", "adj", "large"),
        ("banks", "noun", "bank"),
    ],
)
def test_irregular_and_regular_forms(word: str, pos: str, lemma: str) -> None:
    assert {word, lemma} <= wordnet.base_forms(word, pos)


# ---- WordNet's sentences


def test_how_many_sentences_hold_a_lemma_of_their_own(instances: list[Instance]) -> None:
    """The source's own count is 33,624 (adj 12,644, verb 10,403, noun 8,816, adv 1,761), by a rule
    for words that it does not state.

    By ours (any form, words of a lemma side by side) it is 33,880 pairs of a sentence and a sense,
    0.8% more.
    """
    senses = Counter(one.pos for one in instances for right in one.gold if right)
    assert senses == {"adj": 12_647, "verb": 10_558, "noun": 8_910, "adv": 1_765}
    assert abs(sum(senses.values()) / 33_624 - 1) < 0.01
    assert len(instances) == 33_825  # a sentence that two senses share counts once
    assert all(one.teaches for one in instances if len(one.sense_keys) < len(one.candidates))
    assert round(sum(len(one.candidates) for one in instances) / len(instances), 1) == 6.1


def test_find_joins_the_words_of_a_lemma() -> None:
    assert wordnet.find("It took place here.", "take_place", "verb") == (
        ("It", "took_place", "here", "."),
        1,
    )
    assert wordnet.find("the Banks were closed", "bank", "noun") == (
        ("the", "Banks", "were", "closed"),
        1,
    )
    assert wordnet.find("took his place", "take_place", "verb") is None
    one = Instance(
        "x",
        ("It", "took_place", "in", "New_York"),
        1,
        "take_place",
        "verb",
        ("take_place%2:30:00::",),
    )
    assert (one.word, one.sides, one.gold) == ("took place", ("It", "in New York"), (True,))


def test_no_lemma_synset_or_sentence_is_on_two_sides(instances: list[Instance]) -> None:
    data, other = wsd.split(instances, seed=0), wsd.split(instances, seed=1)
    parts = [data.train, data.held_out, data.tests["examples"]]
    for what in (
        lambda one: {one.lemma},
        lambda one: {sense.synset for sense, right in zip(one.candidates, one.gold) if right},
        lambda one: {normalise(" ".join(one.tokens).replace("_", " "))},
    ):
        seen = [set().union(*map(what, part)) for part in parts]
        assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert sum(map(len, parts)) + sum(data.dropped.values()) == len(instances)
    assert data.dropped["lemma and synset on two sides"] < 0.08 * len(instances)
    assert data.tests["examples"] == other.tests["examples"]
    assert {one.id for one in data.held_out} != {one.id for one in other.held_out}
    assert data == wsd.split(instances, seed=0) != other
    counts = data.counts().set_index("part")
    assert (
        counts.loc["examples", "instances"]
        == counts.loc["examples", list(wordnet.POS)].sum()
        == len(parts[2])
    )


def test_a_draw_is_part_of_the_whole_in_its_order(instances: list[Instance]) -> None:
    drawn = wsd.sample(instances, 50, seed=3)
    assert len(drawn) == 50 and drawn == wsd.sample(instances, 50, seed=3) != wsd.sample(
        instances, 50, seed=4
    )
    places = [instances.index(one) for one in drawn]
    assert places == sorted(places)
    assert wsd.sample(instances, 0, seed=3) == instances


# ---- folders

ROW = {
    "id": "d0",
    "tokens": ["they", "sat", "on", "the", "bank"],
    "target": 4,
    "lemma": "bank",
    "pos": "noun",
    "sense_keys": ["bank%1:17:01::"],
}


def write(folder: Path, **tables: list[dict]) -> Path:
    for name, rows in tables.items():
        pd.DataFrame(rows).to_parquet(folder / f"{name}.parquet")
    return folder


def test_a_folder_like_raganatos(tmp_path: Path) -> None:
    sets = {
        "semcor": [ROW, ROW | {"target": 1, "lemma": "sit", "pos": "verb"}],
        "semeval2007": [ROW],
        "senseval2": [ROW],
        "senseval3": [ROW],
    }
    data = wsd.load(str(write(tmp_path, **sets)), seed=0)
    assert [len(part) for part in (data.train, data.held_out)] == [2, 1]
    assert list(data.tests) == ["senseval2", "senseval3"]
    one = data.tests["senseval2"][0]
    assert (one.word, one.gold[0], sum(one.gold), len(one.gold)) == ("bank", True, 1, 10)
    assert not data.train[1].teaches  # its key is none of the candidates


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pos": "n"}, 'id d0: part of speech "n"; known: noun, verb, adj, adv'),
        ({"target": 5}, "id d0: target 5 is none of its 5 tokens"),
        ({"sense_keys": []}, "id d0: no sense key"),
    ],
)
def test_rows_that_cannot_be_studied(tmp_path: Path, change: dict, message: str) -> None:
    write(tmp_path, semcor=[ROW | change], semeval2007=[ROW], senseval2=[ROW])
    with pytest.raises(BadCorpus, match=message):
        wsd.load(str(tmp_path), seed=0)


def test_folders_that_cannot_be_studied(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match='unknown sense data "semcor"; known: wordnet'):
        wsd.load("semcor", seed=0)
    with pytest.raises(BadCorpus, match="does not exist; known sense data: wordnet"):
        wsd.load("./nowhere", seed=0)
    write(tmp_path, semcor=[ROW])
    with pytest.raises(
        BadCorpus,
        match=(
            "holds semcor; expected semcor or train, semeval2007 or validation, and one test "
            "set or more"
        ),
    ):
        wsd.load(str(tmp_path), seed=0)
    write(tmp_path, semeval2007=[{"tokens": ["a"]}], senseval2=[ROW])
    with pytest.raises(
        BadCorpus,
        match=(
            "semeval2007.parquet lacks target, lemma, pos, sense_keys; expected the columns tokens"
        ),
    ):
        wsd.load(str(tmp_path), seed=0)
    (tmp_path / "semeval2007.parquet").write_text("no parquet")
    with pytest.raises(BadCorpus, match="semeval2007.parquet cannot be read"):
        wsd.load(str(tmp_path), seed=0)
