"""Tagged sentences: the silver ones, folders of languages, what is refused and how, and their
splits.
"""

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from gdlib.core.errors import BadCorpus, BadSetting, UnknownName
from gdlib.sources import silver, tagged, tagged_splits
from gdlib.sources.parts import normalise

GOOD = [
    (["Anna", "lives", "in", "New", "York"], ["B-PER", "O", "O", "B-LOC", "I-LOC"]),
    (["Oslo", "."], ["B-LOC", "O"]),
]


def write(folder: Path, language: str, rows: list[tuple[Any, Any]], split: str = "train") -> Path:
    (folder / language).mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=["tokens", "ner_tags"]).to_parquet(
        folder / language / f"{split}.parquet"
    )
    return folder


# ---- silver


@pytest.mark.parametrize("language", silver.LANGUAGES)
def test_silver_sentences_are_valid_and_their_entities_are_names_of_their_kind(
    language: str,
) -> None:
    random, names = np.random.default_rng(0), silver.names(language)
    written = {
        kind: {" ".join(silver._tokens(name, language)) for name in of}
        for kind, of in names.items()
    }
    assert all(len(of) > 150 for of in written.values())
    for _ in range(100):
        tokens, tags = silver._sentence(language, random)
        assert len(tokens) == len(tags) and all(tokens)
        assert {tag[2:] for tag in tags if tag != "O"} <= {"CUR", "LNG", "LOC"}
        for kind, start, end in get_entities(tags):
            assert " ".join(tokens[start : end + 1]) in written[kind]


def test_silver_names_speak_of_one_kind_only_and_are_the_language_s_own() -> None:
    names = silver.names("de")
    assert (
        {"Frankreich", "Wien"} <= set(names["LOC"])
        and "Rumänisch" in names["LNG"]
        and "Schweizer Franken" in names["CUR"]
    )
    for language in silver.LANGUAGES:
        of = {
            kind: {name.casefold() for name in names}
            for kind, names in silver.names(language).items()
        }
        assert not of["LOC"] & of["LNG"] and not of["LOC"] & of["CUR"] and not of["LNG"] & of["CUR"]


def test_silver_is_made_anew_alike_and_languages_without_blanks_are_cut_into_characters() -> None:
    one, again = (silver._sentence("ja", np.random.default_rng(3)) for _ in range(2))
    assert one == again
    assert silver._tokens("東京 (日本)", "ja") == ["東", "京", "(", "日", "本", ")"]
    assert silver._tokens("Bosnia & Herzegovina, 5", "en") == [
        "Bosnia",
        "&",
        "Herzegovina",
        ",",
        "5",
    ]
    assert silver._tokens("हिन्दी भाषा", "hi") == ["हिन्दी", "भाषा"]


def test_silver_in_ten_languages_and_several_scripts() -> None:
    import unicodedata

    scripts = {
        unicodedata.name(silver.names(language)["LOC"][50][0]).split()[0]
        for language in silver.LANGUAGES
    }
    assert len(silver.LANGUAGES) >= 10 and scripts >= {
        "LATIN",
        "CYRILLIC",
        "GREEK",
        "ARABIC",
        "DEVANAGARI",
        "HANGUL",
        "CJK",
        "KATAKANA",
    }


# ---- folders


def test_a_folder_of_languages(tmp_path: Path) -> None:
    write(write(tmp_path, "en", GOOD), "en", GOOD[:1], "test")
    (tmp_path / "no").mkdir()
    (tmp_path / "no" / "train.conll").write_text(
        "-DOCSTART- O\n\nno:Anna\tB-PER\nno:bor\tO\n\n\nOslo _ _ B-LOC\r\n", "utf-8"
    )
    corpus = tagged.load(str(tmp_path))
    assert corpus.tags == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert corpus.languages == ("en", "no") and not corpus.silver
    assert corpus.parts["train"].tokens == [GOOD[0][0], GOOD[1][0], ["Anna", "bor"], ["Oslo"]]
    assert corpus.parts["train"].tags == [[3, 0, 0, 1, 2], [1, 0], [3, 0], [1]]
    assert corpus.parts["train"].languages == ["en", "en", "no", "no"]
    assert len(corpus.parts["test"]) == 1
    assert tagged.load(str(tmp_path), ["no"]).parts["train"].texts == ["Anna bor", "Oslo"]
    counted = tagged.counts(corpus.parts["train"], corpus.tags).set_index("language")
    assert counted.loc["en", ["sentences", "tokens", "LOC", "PER"]].tolist() == [2, 3.5, 2, 1]


@pytest.mark.parametrize("noted", ["in the file", "in tags.txt"])
def test_tags_that_are_numbers(tmp_path: Path, noted: str) -> None:
    names = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    rows = {
        "tokens": [tokens for tokens, _ in GOOD],
        "ner_tags": [[names.index(tag) for tag in tags] for _, tags in GOOD],
    }
    (tmp_path / "en").mkdir()
    if noted == "in the file":
        features = datasets.Features(
            {
                "tokens": datasets.List(datasets.Value("string")),
                "ner_tags": datasets.List(datasets.ClassLabel(names=names)),
            }
        )
        datasets.Dataset.from_dict(rows, features=features).to_parquet(
            tmp_path / "en" / "train.parquet"
        )
    else:
        pd.DataFrame(rows).to_parquet(tmp_path / "en" / "train.parquet")
        message = (
            r"en/train: sentence 1, place 1: the tag is a number \(1\), and what it means is "
            r"not known; put tags.txt"
        )
        with pytest.raises(BadCorpus, match=message):
            tagged.load(str(tmp_path))
        (tmp_path / "tags.txt").write_text("\n".join(names[:4]))
        with pytest.raises(
            BadCorpus,
            match=r"sentence 1, place 5: the tag is 4; known: 0 to 3 \(O, B-PER, I-PER, B-LOC\)",
        ):
            tagged.load(str(tmp_path))
        (tmp_path / "tags.txt").write_text("\n".join(names))
    corpus = tagged.load(str(tmp_path))
    assert [corpus.tags[tag] for tag in corpus.parts["train"].tags[0]] == GOOD[0][1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(["a", "b"], ["O", "B-LOC", "O"])], "en/train: sentence 1 has 2 tokens and 3 tags"),
        ([*GOOD, ([], [])], r"en/train: sentence 3 is empty \(no token\)"),
        ([(["a", " "], ["O", "O"])], "en/train: sentence 1 has an empty token at place 2"),
        (
            [(["a", "b"], ["O", "I-LOC"])],
            r'sentence 1, place 2: "I-LOC" follows "O"; expected B-LOC or I-LOC before it \(BIO\)',
        ),
        (
            [(["a", "b"], ["B-PER", "I-LOC"])],
            r'sentence 1, place 2: "I-LOC" follows "B-PER"; expected B-LOC or I-LOC',
        ),
        (
            [(["a"], ["S-LOC"])],
            'sentence 1, place 1: "S-LOC" is no BIO tag; expected O, B-KIND or I-KIND',
        ),
        ([(["a"], ["B-"])], 'sentence 1, place 1: "B-" is no BIO tag'),
        ([(["a"], ["O"])], r"train has no entity \(every tag is O\)"),
    ],
)
def test_bad_sentences_are_refused(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(BadCorpus, match=message):
        tagged.load(str(write(tmp_path, "en", rows)))


def test_bad_folders_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        BadCorpus,
        match=r"has no language: expected folders such as .*/de with train.parquet or train.conll",
    ):
        tagged.load(str(tmp_path))
    with pytest.raises(
        UnknownName,
        match=(
            r'^unknown tagged corpus "silber"; did you mean "silver"\? known: silver '
            r"\(or a folder of languages, or hub:NAME\)$"
        ),
    ):
        tagged.load("silber")
    with pytest.raises(UnknownName, match=r'^unknown language of silver "xx"; known: ar, de, '):
        tagged.load("silver", ["xx"])
    write(tmp_path, "en", GOOD, "test")
    with pytest.raises(BadCorpus, match="en has no train split; found: test"):
        tagged.load(str(tmp_path))
    write(tmp_path, "en", GOOD)
    with pytest.raises(UnknownName, match='^unknown language of .* "de"; known: en$'):
        tagged.load(str(tmp_path), ["de"])
    write(tmp_path, "en", [(["a"], ["B-ORG"])], "test")
    with pytest.raises(
        BadCorpus,
        match=(
            'en/test has the tag "B-ORG" that train lacks; tags of train: O, B-LOC, I-LOC, '
            "B-PER, I-PER"
        ),
    ):
        tagged.load(str(tmp_path))
    (tmp_path / "en" / "test.parquet").write_bytes(b"no table")
    with pytest.raises(BadCorpus, match="test.parquet cannot be read as parquet"):
        tagged.load(str(tmp_path))
    pd.DataFrame({"text": ["a"]}).to_parquet(tmp_path / "en" / "test.parquet")
    with pytest.raises(BadCorpus, match='en/test has no column "tokens"; found: text'):
        tagged.load(str(tmp_path))
    (tmp_path / "en" / "test.parquet").unlink()
    (tmp_path / "en" / "test.conll").write_text("Oslo B-LOC\nalone\n")
    with pytest.raises(
        BadCorpus,
        match='test.conll, line 2: "alone" has no tag; expected a token, white space and a tag',
    ):
        tagged.load(str(tmp_path))
    (tmp_path / "en" / "test.conll").write_bytes(b"Stra\xdfe O\n")
    with pytest.raises(
        BadCorpus, match="test.conll is not UTF-8: byte 0xdf at position 4; save it as UTF-8"
    ):
        tagged.load(str(tmp_path))


# ---- splits


def corpus(sizes: dict[str, int], own_test: bool, seed: int = 0) -> tagged.TaggedCorpus:
    """Sentences of few words, so that many of them occur twice, also in two languages."""
    random = np.random.default_rng(seed)

    def rows(number: int) -> tagged.Rows:
        return [
            ([f"w{random.integers(12)}", f"w{random.integers(12)}"], ["B-LOC", "I-LOC"])
            for _ in range(number)
        ]

    tables = {}
    for language, number in sizes.items():
        tables[language, "train"] = rows(number)
        if own_test:
            tables[language, "test"] = rows(20)
    return tagged.build("made", tables)


@settings(deadline=None)
@given(st.integers(0, 3), st.booleans(), st.integers(2, 8), st.integers(0, 60))
def test_parts_share_no_text_and_add_up(
    seed: int, own_test: bool, labels: int, transfer: int
) -> None:
    made = corpus({"xx": 60, "yy": 90}, own_test)
    knobs = {
        "labels_per_language": labels,
        "validation_share": 0.4,
        "transfer_per_language": transfer,
        "test_per_language": 10,
    }
    parts = tagged_splits.split(made, **knobs, seed=seed)
    texts = [normalise(text) for part in parts.parts.values() for text in part.texts]
    assert len(texts) == len(set(texts))
    if own_test:
        assert not set(map(normalise, made.parts["test"].texts)) & {
            normalise(t) for n, p in parts.parts.items() if n != "test" for t in p.texts
        }
    counted = parts.counts().set_index("language")
    assert (counted["train"] + counted["validation"] == labels).all() and (
        counted["test"] <= 10
    ).all()
    assert (counted["transfer"] <= transfer).all()
    used = counted[["train", "validation", "transfer"]].sum(axis=1) + (
        0 if own_test else counted["test"]
    )
    in_train = pd.Series(
        {language: made.parts["train"].languages.count(language) for language in made.languages}
    )
    assert (used + counted["dropped"] <= in_train).all()
    other = tagged_splits.split(made, **knobs, seed=seed + 1)
    assert other.test == parts.test


def test_a_smaller_labelled_set_is_part_of_a_larger_one() -> None:
    made = corpus({"xx": 120}, own_test=True)
    rest = {
        "validation_share": 0.2,
        "transfer_per_language": 10,
        "test_per_language": 10,
        "seed": 1,
    }
    small, large = (tagged_splits.split(made, labels_per_language=n, **rest) for n in (5, 20))
    assert set(small.train.texts) <= set(large.train.texts) and set(small.validation.texts) <= set(
        large.validation.texts
    )
    assert len(large.validation) == 4
    assert small.digest != large.digest
    longer = tagged_splits.split(
        made, labels_per_language=5, **rest | {"transfer_per_language": 20}
    )
    assert longer.transfer.texts[:10] == small.transfer.texts


def test_too_few_sentences() -> None:
    made = corpus({"xx": 200, "yy": 20}, own_test=True)
    rest = {"transfer_per_language": 5, "test_per_language": 5, "seed": 0}
    with pytest.raises(
        BadCorpus,
        match=(
            r"tagged corpus made: yy has \d+ sentences left beside the test set, "
            r"labels_per_language = 50 asked for"
        ),
    ):
        tagged_splits.split(made, labels_per_language=50, validation_share=0.2, **rest)
    with pytest.raises(
        BadSetting, match="labels_per_language = 2 with validation_share = 0.2 holds out 0"
    ):
        tagged_splits.split(made, labels_per_language=2, validation_share=0.2, **rest)
