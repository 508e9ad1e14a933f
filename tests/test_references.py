"""References of study 1 that read an encoder, against transformers and scikit-learn."""

import numpy as np
import tiny
import torch
from transformers import AutoModel, AutoTokenizer

from gdlib.compare import baselines
from gdlib.core.store import Store
from gdlib.studies.generation.settings import Settings
from gdlib.studies.generation.study import GenerationStudy


def mean_states(folder: str, texts: list[str]) -> np.ndarray:
    """The mean last state of every text, one text at a time."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        states = [network(**tokenizer(text, return_tensors="pt")) for text in texts]
    return np.stack([state.last_hidden_state[0].mean(0).numpy() for state in states])


def test_encoder_references_stand_beside_the_students(tmp_path):
    knobs = tiny.generation_knobs(tmp_path)
    settings = Settings(
        **knobs, test_size=40, student_steps=3, student_seeds=(0,), sample_divisors=(),
        arms=("labelled only",), setfit_steps=4,
    )  # fmt: skip
    study = GenerationStudy(settings, Store(tmp_path / "store"))
    results = study.results()
    assert {"tfidf-lr", "static-lr", "encoder-lr", "setfit", "teacher"} <= set(results.table["arm"])
    assert study.encoder_states(0).path != study.encoder_states(4).path
    parts = study.splits
    train, test = (mean_states(knobs["teacher"], of.texts) for of in (parts.labelled, parts.test))
    model = baselines.linear(train, parts.labelled.labels)
    agree = results.outputs[results.rows(arm="encoder-lr").index[0]] == model.predict(test)
    assert agree.mean() > 0.9  # the study's states are of a batch, in bf16 where there is hardware
    sizes = results.table.set_index("arm")["parameters"]
    assert sizes["setfit"] == sizes["encoder-lr"]


def test_without_steps_there_is_no_setfit(tmp_path):
    study = GenerationStudy(Settings(**tiny.generation_knobs(tmp_path)), Store(tmp_path / "store"))
    assert list(study.encoders) == ["encoder-lr"]
