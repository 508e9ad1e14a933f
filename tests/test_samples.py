"""The funnel's gates each by a made example, streaming that survives a kill, selection, and what is
shown of it.
"""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from gdlib.networks.sampling import Generator
from gdlib.networks.signals import Signals
from gdlib.sources import zoo
from gdlib.sources.corpora import Part
from gdlib.sources.duplicates import NearDuplicates, sharing_runs, shingles
from gdlib.studies.shared import funnel, samples
from gdlib.studies.shared.funnel import FATES, GATES
from gdlib.studies.shared.samples import SamplingPlan, generate, whole_batches

LABELLED = ["the old cat sat on the mat near the door of the house", "rain fell on the quiet town"]
TEST = [
    "a loud storm broke over the long coast and the small boats came home late",
    "Jazz, played softly.",
]


def fates(texts, ended=None, near_duplicate=0.8, overlap_words=8):
    raw = pd.DataFrame(
        {"text": texts, "ended": ended or [True] * len(texts)}, index=range(10, 10 + len(texts))
    )
    found = funnel.fates(
        raw, LABELLED, TEST, near_duplicate=near_duplicate, overlap_words=overlap_words
    )
    assert found.index.tolist() == raw.index.tolist() and found.name == "fate"
    return found.tolist()


def words(numbers):
    return " ".join(f"w{i}" for i in numbers)


# the gates


def test_every_gate_stops_what_it_is_for():
    texts = {
        "a quite new text about apples": "kept",
        "": "empty",
        "... !? -": "empty",
        "A QUITE new text, about apples!": "duplicate",
        "they say a loud storm broke over the long coast": "in test set",  # 8 words of a test text
        "jazz played softly": "in test set",  # too short for a run: the same text, normalised
        "the old cat sat on the mat near the door of the house": "in labelled set",
        "Rain fell on the quiet town.": "in labelled set",
        "another text about pears and plums": "kept",
    }
    assert fates(list(texts)) == list(texts.values())


def test_a_run_of_words_shared_with_a_test_text():
    run = TEST[0].split()
    places = [(start, end) for start in range(len(run)) for end in range(start + 1, len(run) + 1)]
    texts = [f"n{start} {' '.join(run[start:end])} ends here" for start, end in places]
    assert fates(texts, near_duplicate=1.0) == [
        "in test set" if end - start >= 8 else "kept" for start, end in places
    ]
    text = "my " + " ".join(run[:5])
    assert fates([text]) == ["kept"] and fates([text], overlap_words=5) == ["in test set"]


def test_the_first_gate_counts():
    cut = [True, False, True, False]
    assert fates(["a b c d", "a b c d", "jazz played softly", "jazz played softly"], cut) == [
        "kept",
        "cut off",
        "in test set",
        "cut off",
    ]
    assert fates(["", "x"], [False, False]) == ["empty", "cut off"]
    assert fates(["e f g", "e f g"], [False, True]) == [
        "cut off",
        "duplicate",
    ]  # equals an earlier sample


@pytest.mark.parametrize("kind", ["labelled set", "earlier sample"])
def test_the_threshold_of_near_duplicates_on_both_sides(kind, monkeypatch):
    """Texts of 20 different words have 18 shingles; one that shares its first 19 words has 17 of 19
    in common: 0.8947.
    """
    original, near = words(range(20)), words([*range(19), 99])
    shared, own = (shingles(tuple(text.split())) for text in (original, near))
    assert len(shared & own) / len(shared | own) == 17 / 19
    for threshold, caught in (
        (17 / 19, True),
        (0.85, True),
        (17 / 19 + 1e-9, False),
        (0.95, False),
    ):
        monkeypatch.setitem(globals(), "TEST", [])
        monkeypatch.setitem(globals(), "LABELLED", [original] if kind == "labelled set" else [])
        texts = [original, near] if kind == "earlier sample" else [near]
        expected = (
            ("near-duplicate" if kind == "earlier sample" else f"in {kind}") if caught else "kept"
        )
        assert fates(texts, near_duplicate=threshold, overlap_words=100)[-1] == expected


def test_half_of_a_test_text_is_enough_whatever_the_threshold_of_the_others(monkeypatch):
    monkeypatch.setitem(globals(), "TEST", [words(range(20))])
    near, far = words([*range(14), *range(90, 96)]), words([*range(13), *range(90, 97)])
    # 12 of 24 and 11 of 25 shingles in common
    assert fates([near, far], near_duplicate=0.95, overlap_words=100) == ["in test set", "kept"]


def test_near_duplicates_of_a_dropped_sample_are_not_dropped_for_it():
    dropped = TEST[0]  # in the test set; what is like it is stopped for the test's sake only
    assert fates([dropped, words(range(9)), words(range(9)) + " x"], near_duplicate=0.7) == [
        "in test set",
        "kept",
        "near-duplicate",
    ]


@given(
    one=st.lists(st.sampled_from("abcd"), max_size=12),
)
def test_shingles(one):
    def by_hand(row):
        return {tuple(row[i : i + 3]) for i in range(len(row) - 2)} or {tuple(row)}

    assert shingles(tuple(one)) == by_hand(one)


def test_a_text_without_words_is_no_near_duplicate_of_another():
    known = NearDuplicates(0.8, [(), ("a", "b")])
    assert known.has(("a", "b")) and not known.has(("a", "c"))


def test_planted_leaks_among_many_are_all_found():
    random = np.random.default_rng(0)
    test = [" ".join(f"t{i}" for i in random.integers(0, 500, 15)) for _ in range(60)]
    leaks = [" ".join(["so", *row.split()[3:12], "it", "is"]) for row in test[:30]] + test[30:45]
    clean = [" ".join(f"c{i}" for i in random.integers(0, 500, 15)) for _ in range(100)]
    raw = pd.DataFrame({"text": [*leaks, *clean, *clean[:20]], "ended": True}).sample(
        frac=1, random_state=1
    )
    found = funnel.fates(raw, [], test, near_duplicate=0.8, overlap_words=8)
    assert set(raw["text"][found == "in test set"]) == set(leaks)
    assert (found == "duplicate").sum() == 20 and (found == "kept").sum() == 100


def test_memorised_by_hand():
    training = ["one two three four five six seven eight nine", "short text"]
    texts = [
        "and TWO three, four five six seven eight nine!",
        "two three four five six seven eight",
        "short text",
        "",
    ]
    assert sharing_runs(texts, training, 8).tolist() == [True, False, False, False]
    assert sharing_runs(texts, training, 2).tolist() == [True, True, True, False]


# streaming


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    network = zoo.locate(str(tiny.causal(tmp_path_factory.mktemp("causal"))))
    return Generator(zoo.causal(network), zoo.tokenizer(network))


PLAN = SamplingPlan(
    num_samples=22,
    temperature=1.0,
    top_p=0.95,
    top_k=0,
    prefix_tokens=0,
    max_new_tokens=10,
    batch=5,
    seed=3,
)


@pytest.fixture(scope="module")
def whole(generator, tmp_path_factory):
    file = tmp_path_factory.mktemp("samples") / "samples.jsonl"
    generate(generator, Part([], []), PLAN, file)
    return file.read_bytes()


def test_a_line_a_sample(whole, tmp_path):
    rows = [json.loads(line) for line in whole.decode().split("\n")[:-1]]
    assert [row["batch"] for row in rows] == [i // 5 for i in range(22)]
    assert len({row["text"] for row in rows}) > 15
    (tmp_path / "s.jsonl").write_bytes(whole)
    table = samples.read(tmp_path / "s.jsonl")
    assert list(table.columns) == ["text", "ended", "tokens", "label_asked"]
    assert table["text"].tolist() == [row["text"].strip() for row in rows]
    assert table["ended"].tolist() == [row["ended"] for row in rows] and set(
        table["label_asked"]
    ) == {-1}


@pytest.mark.parametrize("cut", [0, 1, 200, 500, 900, -1, -200])
def test_a_file_cut_anywhere_goes_on_to_the_same_bytes(generator, whole, tmp_path, cut):
    file = tmp_path / "samples.jsonl"
    file.write_bytes(whole[:cut])
    generate(generator, Part([], []), PLAN, file)
    assert file.read_bytes() == whole


def test_killed_in_a_batch_loses_that_batch_only(generator, whole, tmp_path, monkeypatch):
    file, sampling, calls = tmp_path / "samples.jsonl", generator.sample, []

    def sample(prompts, **knobs):
        calls.append(len(prompts))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return sampling(prompts, **knobs)

    monkeypatch.setattr(generator, "sample", sample)
    with pytest.raises(KeyboardInterrupt):
        generate(generator, Part([], []), PLAN, file)
    generate(generator, Part([], []), PLAN, file)
    assert calls == [5, 5, 5, 5, 5, 2] and file.read_bytes() == whole
    generate(generator, Part([], []), PLAN, file)  # finished: nothing more to do
    assert len(calls) == 6


def test_whole_batches(tmp_path):
    file, plan = tmp_path / "s.jsonl", replace(PLAN, num_samples=10, batch=4)
    line = (
        json.dumps({"text": "a\u2028b\x85c é"}, ensure_ascii=False).encode() + b"\n"
    )  # separators that are no line ends here
    assert whole_batches(file, plan) == 0
    for lines, tail, whole, left in (
        (0, b"", 0, 0),
        (3, b"", 0, 0),
        (4, b"", 1, 4),
        (5, b'{"te', 1, 4),
        (9, b"", 2, 8),
        (9, line[:-1], 2, 8),
        (10, b"", 3, 10),
    ):
        file.write_bytes(line * lines + tail)
        assert whole_batches(file, plan) == whole and file.read_bytes() == line * left


def test_texts_come_back_as_they_were_written(tmp_path):
    texts = [
        "12",
        "null",
        "2024-01-01",
        "NaN",
        "true",
        'a "b"\nc\t\\',
        "x\u2028y",
        "é 😀",
        "<b>&amp;</b>",
        "",
    ]
    rows = [
        {"batch": 0, "text": text, "ended": True, "tokens": 1, "label_asked": -1} for text in texts
    ]
    file = tmp_path / "s.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    assert samples.read(file)["text"].tolist() == texts


def test_prefixes_stand_in_the_text(generator, tmp_path):
    part = Part(tiny.texts_of("animals", 8, 0), [0] * 8)
    file = tmp_path / "samples.jsonl"
    generate(generator, part, replace(PLAN, prefix_tokens=3, num_samples=8), file)
    starts = [
        generator.tokenizer.decode(ids[:3]) for ids in generator.tokenizer(part.texts)["input_ids"]
    ]
    for text in samples.read(file)["text"]:
        assert any(text.startswith(start.strip()) for start in starts)


# the teacher's gates, and what is shown


def judged_table(confidences, labels):
    fate = ["kept"] * len(labels)
    return pd.DataFrame(
        {
            "text": [f"t{i}" for i in range(len(labels))],
            "fate": fate,
            "confidence": confidences,
            "teacher_label": labels,
        }
    )


def test_judged_by_hand():
    table = pd.DataFrame(
        {"text": ["", "a", "b"], "fate": ["empty", "kept", "cut off"]}, index=[5, 6, 7]
    )
    logits = torch.tensor([[0.0, math.log(3)], [2.0, 2.0]])
    found = funnel.judged(table, Signals(("x", "y"), logits, ""), np.array([1, 2]))
    assert found["teacher_label"].tolist()[:2] == [-1, 1] and found["text"].tolist() == [
        "",
        "a",
        "b",
    ]
    assert math.isnan(found["confidence"].iloc[0]) and math.isnan(found["entropy"].iloc[0])
    assert found["confidence"].tolist()[1:] == pytest.approx([0.75, 0.5])
    assert found["entropy"].tolist()[1:] == pytest.approx(
        [-0.25 * math.log(0.25) - 0.75 * math.log(0.75), math.log(2)]
    )
    assert np.isnan(found["teacher_logits"].iloc[0]).all() and found["teacher_logits"].iloc[
        1
    ].tolist() == pytest.approx([0, math.log(3)])
    assert "confidence" not in table.columns  # the table given is left alone


def test_select_by_confidence():
    table = judged_table([0.4, 0.5, 0.9], [0, 0, 1])
    assert funnel.select(table, min_confidence=0.5, balance=False).tolist() == [
        "low confidence",
        "kept",
        "kept",
    ]
    assert funnel.select(table, min_confidence=0.0, balance=False).tolist() == ["kept"] * 3
    cut = table.assign(fate=["cut off", "kept", "kept"])
    expected = ["cut off", "low confidence", "low confidence"]
    assert funnel.select(cut, min_confidence=0.95, balance=False).tolist() == expected


def test_select_by_class_balance_comes_after_confidence():
    table = judged_table([0.9, 0.9, 0.1, 0.9, 0.9, 0.9], [0, 0, 1, 1, 0, 0])
    found = funnel.select(table, min_confidence=0.5, balance=True)  # a share: five by two classes
    assert found.tolist() == ["kept", "kept", "low confidence", "kept", "kept", "class balance"]
    alone = funnel.select(table.assign(teacher_label=1), min_confidence=0.0, balance=True)
    assert alone.tolist() == ["kept"] * 6, "one class has all of the share"
    assert (
        funnel.select(table, min_confidence=0.99, balance=True).tolist() == ["low confidence"] * 6
    )


@given(st.lists(st.sampled_from(FATES), max_size=60))
def test_counts_add_up(fate):
    table = funnel.counts(pd.Series(fate, dtype=object))
    assert table["gate"].tolist() == ["generated", *GATES]
    assert table["left"].iloc[0] == len(fate) and table["left"].iloc[-1] == fate.count("kept")
    assert table["dropped"].sum() == len(fate) - fate.count("kept")
    assert (table["left"].diff().dropna() == -table["dropped"].iloc[1:]).all()


def test_gallery():
    table = judged_table([i / 100 for i in range(100)], [0] * 100)
    table.loc[99, "fate"] = "cut off"
    found = dict(funnel.gallery(table, each=3))
    assert found["best"]["confidence"].tolist() == [0.98, 0.97, 0.96]
    assert found["typical"]["confidence"].tolist() == [0.5, 0.49, 0.48]
    assert found["worst"]["confidence"].tolist() == [0.02, 0.01, 0.0]
    assert {name: len(rows) for name, rows in funnel.gallery(table.head(2))} == {
        "best": 2,
        "typical": 2,
        "worst": 2,
    }
