"""The map of texts: near stays near, cosines against scikit-learn's, the study that keeps it."""

import numpy as np
import pandas as pd
import pytest
import tiny
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors

from gdlib.compare import maps
from gdlib.core.store import Store
from gdlib.sources.duplicates import NearDuplicates, words_of
from gdlib.studies.generation.settings import Settings
from gdlib.studies.generation.study import GenerationStudy


def clusters(each: int, width: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around four far directions, and which they are around."""
    random = np.random.default_rng(seed)
    kinds = np.repeat(np.arange(4), each)
    return 8 * np.eye(width)[kinds] + random.normal(size=(4 * each, width)), kinds


def test_nearest_are_those_of_scikit_learn(monkeypatch):
    monkeypatch.setattr(maps, "CHUNK", 7)
    random = np.random.default_rng(1)
    vectors, others = random.normal(size=(30, 6)), random.normal(size=(40, 6))
    rows, cosines = maps.nearest(maps.directions(vectors), maps.directions(others), 3)
    expected = NearestNeighbors(n_neighbors=3, metric="cosine").fit(others).kneighbors(vectors)
    np.testing.assert_array_equal(rows, expected[1])
    np.testing.assert_allclose(cosines, 1 - expected[0], atol=1e-5)
    assert maps.directions(np.zeros((1, 4))).tolist() == [[0, 0, 0, 0]]
    assert maps.nearest(np.empty((0, 6)), others, 2)[0].shape == (0, 2)


@pytest.mark.parametrize("at_most", [1000, 80], ids=["all by t-SNE", "most beside the drawn ones"])
def test_texts_of_one_kind_lie_together_on_the_map(at_most):
    vectors, kinds = clusters(40)
    places = maps.projected(vectors, 0, at_most)
    assert places.dtype == np.float32 and places.min() == 0 and places.max() == 1
    near = NearestNeighbors(n_neighbors=6).fit(places).kneighbors(places)[1][:, 1:]
    assert (kinds[near] == kinds[:, None]).mean() > 0.95
    np.testing.assert_array_equal(places, maps.projected(vectors, 0, at_most))


def test_lengths_do_not_count_and_few_texts_have_places_too():
    vectors, _ = clusters(1)
    assert maps.projected(vectors, 0).shape == (4, 2)
    np.testing.assert_allclose(
        maps.projected(vectors, 0),
        maps.projected(vectors * np.arange(1, 5)[:, None], 0),
        atol=1e-5,
    )
    for count in range(3):
        assert maps.projected(vectors[:count], 0).tolist() == [[0.5, 0.5]] * count
    assert np.isfinite(maps.projected(np.ones((12, 5)), 0)).all()


def test_what_a_study_keeps_for_the_explorer(tmp_path):
    knobs = tiny.generation_knobs(tmp_path) | {"num_samples": 60}  # so that some are empty
    settings = Settings(**knobs, test_size=30, seed=1)
    study = GenerationStudy(settings, Store(tmp_path / "store"))
    table, vectors = study.explored()
    assert (study.samples()["fate"] == "empty").any(), "else a missing place is not tried"
    assert table["source"].value_counts().to_dict() == {"generated": 60, "labelled": 24, "real": 50}
    samples = study.samples()
    same = ["text", "fate", "teacher_label", "confidence", "entropy"]
    pd.testing.assert_frame_equal(table[: len(samples)][same], samples[same], check_dtype=False)
    assert table["gold"].tolist() == [-1] * 60 + study.splits.train.labels + [-1] * 50
    assert table["text"][len(samples) :].tolist() == [
        *study.splits.train.texts,
        *study.splits.transfer.texts,
    ]
    written = table["fate"] != "empty"
    assert table.loc[~written, ["x", "y", "distance"]].isna().all(axis=None)
    assert table.loc[written, ["x", "y"]].apply(lambda places: places.between(0, 1)).all(axis=None)
    # The same words are the same group; what is in a group of several is like its first text.
    assert (table.loc[~written | (table["source"] != "generated"), "group"] == -1).all()
    rows = np.flatnonzero(written & (table["source"] == "generated"))
    known = {}
    for row in rows:
        words = words_of(table["text"][row])
        first = int(table["group"][row])
        assert first == known.setdefault(words, first) <= row
        alike = NearDuplicates(settings.near_duplicate, [words_of(table["text"][first])])
        assert alike.has(words) and table["group"][first] == first
    # The same, and the student's logits, as they are kept and as they are worked out.
    study.explored_by_student().to_parquet(tmp_path / "explored.parquet", index=False)
    made, kept = study.opened(), study.opened(str(tmp_path))
    whole = table.astype(object).where(table.notna(), None)
    for frame, *_ in (made, kept):
        frame = frame.astype(object).where(frame.notna(), None)
        pd.testing.assert_frame_equal(frame, whole)
    student = study.student_logits(table["text"].tolist())
    for _, labels, directions, logits in (made, kept):
        assert labels == study.class_names
        np.testing.assert_allclose(directions, vectors, atol=1e-3)
        np.testing.assert_allclose(logits, student, atol=1e-3 * (1 + np.abs(student).max()))
    # The states of any text, asked of the teacher directly; and the distances in plain numpy.
    last = study.teacher.network.config.num_hidden_layers
    # (Products may be in bf16, which differ by the batch.)
    for row in (int(np.flatnonzero(written)[3]), 30, 93):
        said = study.teacher.signals([table["text"][row]], [last], pooling="mean")
        alone = maps.directions(said.states[last].numpy())[0]
        np.testing.assert_allclose(vectors[row], alone, atol=5e-3)
        np.testing.assert_allclose(table["teacher_logits"][row], said.logits[0], atol=5e-3)
        generated = table["source"] == "generated"
        others = written & (generated != generated[row])
        expected = 1 - cosine_similarity(vectors[[row]], vectors[others]).max()
        assert table["distance"][row] == pytest.approx(expected, abs=1e-5)
