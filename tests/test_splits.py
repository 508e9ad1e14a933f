"""Splits: what must hold for every corpus (properties), and the errors."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlib.core.errors import BadCorpus, BadSetting
from gdlib.sources.corpora import Corpus, build
from gdlib.sources.parts import normalise
from gdlib.sources.splits import Splits, split

DISGUISES = (
    str,
    str.upper,
    lambda t: f"  {t}!",
    lambda t: t.replace(" ", ",  "),
    lambda t: t.replace("text", "ｔｅｘｔ"),
)


def make_corpus(
    sizes: list[int], *, test: int = 0, unlabeled: int = 0, doubles: int = 0, seed: int = 0
) -> Corpus:
    """Numbered texts; ``doubles`` of them come again, in disguise, in any part."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"text number {c} {i}", f"class {c}") for c, size in enumerate(sizes) for i in range(size)
    ]
    tables = {"train": rows}
    if test:
        tables["test"] = [(f"unseen text {i}", f"class {i % len(sizes)}") for i in range(test)]
    if unlabeled:
        tables["unlabeled"] = [(f"more text {i}", "") for i in range(unlabeled)]
    originals = [row for part in tables.values() for row in part]
    for _ in range(doubles):
        text, label = originals[rng.integers(len(originals))]
        part = list(tables)[rng.integers(len(tables))]
        tables[part].append((DISGUISES[rng.integers(len(DISGUISES))](text), label or "class 0"))
    for part in tables.values():
        rng.shuffle(part)
    return build(
        "made",
        {name: pd.DataFrame(part, columns=["text", "label"]) for name, part in tables.items()},
    )


def texts_of(splits: Splits, *names: str) -> set[str]:
    return {normalise(text) for name in names for text in splits.parts[name].texts}


@st.composite
def cases(draw: st.DrawFn) -> tuple[Corpus, dict[str, float]]:
    labels_per_class = draw(st.integers(3, 8))
    doubles = draw(st.integers(0, 10))  # each may cost a class one text
    sizes = draw(st.lists(st.integers(3 * labels_per_class + doubles, 40), min_size=2, max_size=4))
    corpus = make_corpus(
        sizes,
        test=draw(st.sampled_from([0, 12])),
        unlabeled=draw(st.sampled_from([0, 20])),
        doubles=doubles,
        seed=draw(st.integers(0, 99)),
    )
    given_to_split = {
        "labels_per_class": labels_per_class,
        "validation_share": draw(st.sampled_from([0.0, 0.2, 1 / 3])),
        "transfer_size": draw(st.integers(0, 50)),
        "test_size": draw(st.integers(2, 30)),
        "seed": draw(st.integers(0, 2**32)),
    }
    return corpus, given_to_split


@settings(max_examples=120, deadline=None)
@given(cases())
def test_properties(case: tuple[Corpus, dict[str, float]]) -> None:
    corpus, knobs = case
    splits = split(corpus, **knobs)
    num_classes, n = len(corpus.labels), knobs["labels_per_class"]

    # disjoint by normalised text; no text twice but where a corpus's own test set has it twice
    keys = {name: [normalise(text) for text in part.texts] for name, part in splits.parts.items()}
    every = [key for name in keys for key in set(keys[name])]
    assert len(every) == len(set(every))
    for name in ("train", "validation", "transfer"):
        assert len(keys[name]) == len(set(keys[name]))
    assert not set(keys["train"] + keys["validation"] + keys["transfer"]) & {
        normalise(text)
        for text in (corpus.parts["test"].texts if "test" in corpus.parts else splits.test.texts)
    }

    # sizes and strata
    held_out = round(n * knobs["validation_share"])
    assert (
        np.bincount(splits.train.labels, minlength=num_classes).tolist()
        == [n - held_out] * num_classes
    )
    assert (
        np.bincount(splits.validation.labels, minlength=num_classes).tolist()
        == [held_out] * num_classes
    )
    assert len(splits.test) <= knobs["test_size"]
    assert len(splits.transfer) <= knobs["transfer_size"]
    if own_test := corpus.parts.get("test"):
        share = np.bincount(own_test.labels) * len(splits.test) / len(own_test)
        assert np.abs(np.bincount(splits.test.labels, minlength=num_classes) - share).max() < 1

    # labels stay with their texts
    known = {
        (text, label)
        for name in ("train", "test")
        if name in corpus.parts
        for text, label in pairs(corpus.parts[name])
    }
    for name in ("train", "validation", "test"):
        assert set(pairs(splits.parts[name])) <= known
    assert bool(splits.transfer.labels) == (
        "unlabeled" not in corpus.parts and len(splits.transfer) > 0
    )

    # seeded
    again, other = split(corpus, **knobs), split(corpus, **{**knobs, "seed": knobs["seed"] + 1})
    afresh = split(replace(corpus), **knobs)  # nothing is kept of a corpus not seen before
    assert again.digest == splits.digest == afresh.digest
    assert (other.test.texts, other.test.labels) == (splits.test.texts, splits.test.labels)


def pairs(part: object) -> list[tuple[str, int]]:
    return list(zip(part.texts, part.labels, strict=True))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.25, 0.5])
def test_a_smaller_labelled_set_is_part_of_a_larger_one(share: float) -> None:
    corpus = make_corpus([150, 150, 150])
    knobs = {"validation_share": share, "transfer_size": 30, "test_size": 50, "seed": 7}
    small, large = (split(corpus, labels_per_class=n, **knobs) for n in (10, 80))
    assert texts_of(small, "train") < texts_of(large, "train")
    assert texts_of(small, "validation") <= texts_of(large, "validation")
    assert small.test == large.test


def test_another_seed_draws_other_texts() -> None:
    corpus = make_corpus([100, 100])
    knobs = {"labels_per_class": 10, "validation_share": 0.2, "transfer_size": 40, "test_size": 30}
    first, second = (split(corpus, **knobs, seed=seed) for seed in (0, 1))
    assert texts_of(first, "train") != texts_of(second, "train")
    assert texts_of(first, "transfer") != texts_of(second, "transfer")
    assert first.digest != second.digest


def test_a_smaller_test_set_is_part_of_a_larger_one() -> None:
    corpus = make_corpus([90, 60])
    small, large = (
        split(
            corpus,
            labels_per_class=5,
            validation_share=0.2,
            transfer_size=10,
            test_size=size,
            seed=0,
        )
        for size in (20, 40)
    )
    assert texts_of(small, "test") < texts_of(large, "test")
    assert np.bincount(small.test.labels).tolist() == [12, 8]
    assert np.bincount(large.test.labels).tolist() == [24, 16]


def test_the_test_set_takes_at_most_a_third_of_a_corpus_without_one() -> None:
    splits = split(
        make_corpus([60, 30]),
        labels_per_class=5,
        validation_share=0.2,
        transfer_size=99,
        test_size=1000,
        seed=0,
    )
    assert np.bincount(splits.test.labels).tolist() == [20, 10]
    assert len(splits.transfer) == 60 - 10
    assert splits.transfer.labels


def test_the_transfer_set_is_drawn_from_the_unlabelled_part() -> None:
    splits = split(
        make_corpus([30, 30], test=10, unlabeled=25),
        labels_per_class=5,
        validation_share=0.2,
        transfer_size=20,
        test_size=8,
        seed=0,
    )
    assert len(splits.transfer) == 20
    assert all(text.startswith("more text") for text in splits.transfer.texts)
    assert splits.transfer.labels == []
    assert Counter(splits.test.labels) == {0: 4, 1: 4}


def test_counts_is_a_table_of_what_was_drawn_and_dropped() -> None:
    train = (
        [(f"one two {i}", "a") for i in range(9)]
        + [(f"word {i}", "b") for i in range(9)]
        + [("WORD 3!", "b"), ("Unseen text", "a")]
    )
    tables = {
        "train": train,
        "test": [("unseen text", "a"), ("new", "b")],
        "unlabeled": [("fresh", ""), ("fresh.", ""), ("New", "")],
    }
    corpus = build(
        "made",
        {name: pd.DataFrame(rows, columns=["text", "label"]) for name, rows in tables.items()},
    )
    counts = split(
        corpus, labels_per_class=5, validation_share=0.2, transfer_size=9, test_size=9, seed=0
    ).counts()
    assert counts.columns.tolist() == ["split", "texts", "a", "b", "words", "dropped"]
    assert counts["split"].tolist() == ["train", "validation", "transfer", "test"]
    assert counts["texts"].tolist() == [8, 2, 1, 2]
    assert counts["words"].tolist() == [2.5, 2.5, 1.0, 1.5]
    assert counts["dropped"].tolist() == [2, 0, 2, 0]
    assert counts["a"][0] == 4
    assert np.isnan(counts["a"][2])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Hello,  World!", "hello world", True),
        ("ﬁne ＴＥＸＴ", "fine text", True),
        ("Straße", "STRASSE", True),
        ("well-known", "well known", True),
        ("C++", "C", False),
        ("...", "!", False),
        ("किताब", "कतब", False),  # vowel signs are no punctuation
        ("3.5", "35", False),
    ],
)
def test_normalise(one: str, other: str, same: bool) -> None:
    assert (normalise(one) == normalise(other)) is same


@given(st.text())
def test_normalise_twice_is_normalise(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_fewer_texts_than_asked_for() -> None:
    message = (
        r'^corpus made: class "class 1" has 8 texts left beside the test set, labels_per_class '
        r"= 10 asked for$"
    )
    with pytest.raises(BadCorpus, match=message):
        split(
            make_corpus([30, 12]),
            labels_per_class=10,
            validation_share=0.2,
            transfer_size=9,
            test_size=14,
            seed=0,
        )


@pytest.mark.parametrize(("number", "share", "held_out"), [(1, 0.9, 1), (2, 0.2, 0)])
def test_nothing_left_to_train_on_or_to_choose_by(number, share, held_out) -> None:
    with pytest.raises(
        BadSetting,
        match=f"^labels_per_class = {number} with validation_share = {share} holds out {held_out}"
        "; expected at least one text to train on and one to choose by$",
    ):
        split(
            make_corpus([30, 30]),
            labels_per_class=number,
            validation_share=share,
            transfer_size=9,
            test_size=9,
            seed=0,
        )


def test_classes_named_like_the_other_columns_have_columns_of_their_own() -> None:
    own = ("dropped", "split", "texts", "words")
    rows = [(f"text {label} {i}", label) for label in ("b", *own) for i in range(9)]
    corpus = build("made", {"train": pd.DataFrame(rows, columns=["text", "label"])})
    counts = split(
        corpus, labels_per_class=4, validation_share=0.25, transfer_size=9, test_size=6, seed=0
    ).counts()
    named = [f"{name} (class)" for name in own]
    expected = ["split", "texts", "b", *named, "words", "dropped"]
    assert counts.columns.tolist() == expected
    assert counts["split"].tolist() == ["train", "validation", "transfer", "test"]
    assert counts["texts (class)"].tolist()[0] == 3


def one_word_changed(text: str, place: int) -> str:
    words = text.split()
    return " ".join([*words[:place], "otherwise", *words[place + 1 :]])


@pytest.mark.parametrize("part", ["train", "unlabeled"])
def test_near_duplicates_of_test_texts_are_in_no_other_part_and_counted(part: str) -> None:
    random = np.random.default_rng(0)
    test = [" ".join(f"w{n}" for n in random.integers(0, 5000, 14)) for _ in range(12)]
    tables = {
        "train": [(f"text number {c} {i}", f"class {c}") for c in range(2) for i in range(20)],
        "test": [(text, f"class {i % 2}") for i, text in enumerate(test)],
        "unlabeled": [(f"more text {i}", "") for i in range(20)],
    }
    planted = [one_word_changed(text, place) for place, text in enumerate(test)]
    far = one_word_changed(one_word_changed(one_word_changed(test[0], 3), 7), 11)
    tables[part] += [(text, "class 0") for text in [*planted, far]]
    corpus = build(
        "made",
        {name: pd.DataFrame(rows, columns=["text", "label"]) for name, rows in tables.items()},
    )
    parts = split(
        corpus, labels_per_class=20, validation_share=0.2, transfer_size=99, test_size=12, seed=0
    )
    elsewhere = texts_of(parts, "train", "validation", "transfer")
    assert not elsewhere & set(planted) and len(planted) == 12
    assert far in elsewhere or part == "train"  # three of fourteen words: another text
    assert parts.dropped[{"train": "train", "unlabeled": "transfer"}[part]] == 12
    assert len(parts.test) == 12
