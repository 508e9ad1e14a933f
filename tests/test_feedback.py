"""The second round of generated texts, against an independent derivation."""

import json

import numpy as np
import pandas as pd
import pytest
import tiny
import torch

from gdlib.core.settings import replace
from gdlib.core.store import Store
from gdlib.networks.arms import ARMS
from gdlib.studies.generation.feedback import disputed, first_round
from gdlib.studies.generation.settings import Settings
from gdlib.studies.generation.study import GenerationStudy
from gdlib.studies.shared.writing import SAMPLES

TOKENS = 3


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("feedback")
    knobs = tiny.generation_knobs(folder) | {"num_samples": 80}
    settings = Settings(
        **knobs, test_size=40, student_steps=3, student_seeds=(0,), sample_divisors=(),
        arms=("generation-distillation", "feedback"), feedback_tokens=TOKENS,
    )  # fmt: skip
    return GenerationStudy(settings, Store(folder / "store"))


def test_disputed_texts_are_those_of_the_largest_total_variation():
    """By hand: two classes, the teacher sure of the first one; the student says p for it."""
    sure = [50.0, 0.0]
    table = pd.DataFrame({"text": [*"abcde"], "teacher_logits": [sure] * 5})
    shares = np.array([0.9, 0.2, 0.6, 0.1, 0.99])
    logits = np.stack([np.log(shares), np.log(1 - shares)], axis=1)
    assert disputed(table, logits, share=2)["text"].tolist() == ["d", "b", "c"]
    assert disputed(table, logits, share=5)["text"].tolist() == ["d"]


def test_the_second_round_begins_like_what_is_disputed(study):
    half = first_round()
    assert half.sources == ARMS["generation-distillation"].sources and half.divisor == 2
    kept = study.samples().query("fate == 'kept'")
    kept = kept.head(-(-len(kept) // 2))
    student = study.loaded("KimCNN", study.trained_student("KimCNN", half, 0))
    apart = []
    for text, logits in zip(kept["text"], kept["teacher_logits"]):
        with torch.no_grad():
            own = student(torch.tensor(study.rows([text]))).softmax(-1)[0]
        apart.append((torch.tensor(logits).softmax(-1) - own).abs().sum().item())
    most = kept.iloc[np.argsort(apart)[::-1][: -(-len(kept) // 4)]]["text"]
    tokenizer = study.generator.tokenizer
    encoded = [tokenizer(" " + text, add_special_tokens=False)["input_ids"] for text in most]
    beginnings = {tokenizer.decode(ids[:TOKENS]) for ids in encoded if len(ids) > TOKENS}
    lines = (study.second_samples() / SAMPLES).read_text().splitlines()
    written = [json.loads(line)["text"] for line in lines]
    assert len(written) == 40
    assert all(any(text.startswith(start) for start in beginnings) for text in written)
    assert len({text for text in written}) > 1


def test_both_rounds_together_are_no_more_than_the_main_arm_has(study):
    labelled, both = study.lessons_of(ARMS["feedback"])
    _, first = study.lessons_of(first_round())
    whole = len(study.generated)
    assert len(first) == -(-whole // 2)
    assert both.pieces[: len(first)] == first.pieces, "the first round comes first"
    assert both.pieces[len(first) :] == study.feedback.pieces[: whole - len(first)]
    assert labelled.pieces == study.labelled.pieces
    old = {text.lower() for text in study.samples().query("fate == 'kept'")["text"]}
    again = pd.read_parquet(study.judged_again() / "samples.parquet")
    assert not old & {text.lower() for text in again.query("fate == 'kept'")["text"]}


def test_the_arm_is_trained_and_asked_about(study):
    table = study.results().table.set_index("arm")
    assert table.loc["feedback", "size"] == len(study.lessons_of(ARMS["feedback"])[1])


def test_a_second_round_makes_no_other_arm_s_student_again(study):
    main = ARMS["generation-distillation"]
    without = GenerationStudy(replace(study.settings, arms=(main.name,)), study.store)
    alone, beside = (of.trained_student("KimCNN", main, 0) for of in (without, study))
    assert alone.path == beside.path


def test_where_no_text_is_kept_there_is_no_second_round(study):
    strict = GenerationStudy(replace(study.settings, min_confidence=1.0), study.store)
    table = strict.results().table.set_index("arm")
    assert table.loc["feedback", "size"] == table.loc["generation-distillation", "size"] == 0
