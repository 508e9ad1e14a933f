"""The report over splits, from cells whose answers are made by hand."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gdlib.compare.results import Results

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import cells  # noqa: E402
import pool_cells  # noqa: E402
import teaching  # noqa: E402

ARMS = ("teacher", "distilled on labelled", "generation-distillation", "real unlabelled")
RIGHT = {"teacher": 90, "distilled on labelled": 70, "generation-distillation": 78}
RIGHT |= {"real unlabelled": 80}


def cell(
    seed: int, arms: tuple[str, ...] = ARMS, texts: int = 100, sizes: tuple[int, ...] = ()
) -> Results:
    """Two classes, half of the texts each; an arm has ``RIGHT + seed`` of every hundred right, the
    same share of both classes. With ``sizes`` there are arms with one in so many generated texts.
    """
    arms = (*arms, *(f"generated /{k}" for k in sizes))
    gold = np.arange(texts) % 2
    rows, outputs = [], []
    for arm in arms:
        right = RIGHT.get(arm, 70)
        wrong = np.arange(texts) >= (right + (seed if arm != "teacher" else 0)) * texts // 100
        outputs.append(np.where(wrong, 1 - gold, gold))
        student = "" if arm == "teacher" else "KimCNN"
        row = {"arm": arm, "student": student, "student_seed": 0 if student else -1, "seed": seed}
        row |= {"size": 1000 // int(arm.partition("/")[2] or 1)} if sizes else {}
        rows.append(row | {"accuracy": float((outputs[-1] == gold).mean()), "corpus": "a folder"})
    return Results(
        pd.DataFrame(rows), np.stack(outputs).astype(np.int16), pd.DataFrame({"gold": gold})
    )


def test_a_cell_is_read_as_it_was_kept(tmp_path):
    cells.keep(cell(3), tmp_path / "news-s3.parquet")
    read = cells.read(tmp_path / "news-s3.parquet")
    assert (read.outputs == cell(3).outputs).all()
    assert read.items["gold"].tolist() == cell(3).items["gold"].tolist()
    assert read.table["arm"].tolist() == list(ARMS)
    assert "corpus" not in read.table  # a folder's place is of one machine


def test_a_byte_holds_256_classes(tmp_path):
    many = Results(cell(0).table, cell(0).outputs + 256, cell(0).items)
    with pytest.raises(ValueError, match="at most 256 classes"):
        cells.keep(many, tmp_path / "many-s0.parquet")


def test_a_question_is_of_the_splits_that_have_both_of_its_arms(tmp_path):
    cells.keep(cell(0), tmp_path / "news-s0.parquet")
    cells.keep(cell(1, ARMS[:3]), tmp_path / "news-s1.parquet")
    cells.keep(cell(0), tmp_path / "my-s-films-s0.parquet")
    found = cells.corpora(tmp_path)
    assert set(found) == {"news", "my-s-films"}
    assert cells.splits_with(found["news"], ARMS[:3]) == {0, 1}
    assert cells.splits_with(found["news"], ARMS) == {0}
    gaps = pool_cells.differences(found).set_index(["question", "panel"])
    real = gaps.loc["real unlabelled minus generation-distillation", "news"]
    assert real["value"] == pytest.approx(0.02) and np.isnan(real["seeds_low"])  # one split
    main = gaps.loc["generation-distillation minus distilled on labelled", "news"]
    assert main["value"] == pytest.approx(0.08) and main["seeds_low"] == pytest.approx(0.08)


def test_the_report_says_what_is_kept_and_what_is_closed(tmp_path):
    for seed in (0, 1, 2):
        cells.keep(cell(seed), tmp_path / "cells" / f"news-s{seed}.parquet")
    pool_cells.main([str(tmp_path)])
    text = (tmp_path / "report.md").read_text()
    # (78 + 79 + 80) / 3 / 90; t interval of 3: 4.303 * sd / sqrt(3), sd 1 / 90
    assert "87.8% \\[85.0%, 90.5%\\]" in text
    assert "| 10.0 points | 80% |" in text
    assert (tmp_path / "figures" / "differences.svg").stat().st_size > 1000
    table = pd.read_csv(tmp_path / "tables" / "differences.csv")
    gap = table[table["question"] == "generation-distillation minus distilled on labelled"]
    assert gap["value"].item() == pytest.approx(0.08)
    assert gap["seeds_low"].item() == pytest.approx(0.08)  # the same on every split


def test_a_cell_is_added_from_the_results_of_a_run(tmp_path):
    made = tmp_path / "tested"
    made.mkdir()
    cell(2).save(made)
    pool_cells.main([str(tmp_path / "splits"), "--add", str(made), "news"])
    assert (tmp_path / "splits" / "cells" / "news-s2.parquet").exists()
    assert "news" in (tmp_path / "splits" / "report.md").read_text()


def test_a_question_is_a_family_and_its_average_is_of_the_splits_that_all_corpora_have(tmp_path):
    for seed in (0, 1, 2):
        cells.keep(cell(seed), tmp_path / "cells" / f"news-s{seed}.parquet")
    for seed in (0, 1, 2, 3):
        cells.keep(cell(seed, texts=200), tmp_path / "cells" / f"films-s{seed}.parquet")
    cells.keep(cell(0), tmp_path / "cells" / "few-s0.parquet")
    gaps = pool_cells.differences(cells.corpora(tmp_path / "cells"))
    asked = [pair for pair in pool_cells.QUESTIONS if set(pair) <= set(ARMS)]
    assert set(gaps["question"]) == {f"{a} minus {b}" for a, b in asked}
    own = gaps[gaps["question"] == "generation-distillation minus distilled on labelled"]
    assert own["panel"].tolist() == ["few", "films", "news", "average"]
    real = gaps[gaps["question"] == "real unlabelled minus generation-distillation"]
    assert real["value"].to_numpy() == pytest.approx([0.02] * 4)
    # Holm's correction for two corpora, and none for the average
    for family in (own[1:3], own[3:]):
        p = np.sort(family["p"])
        assert family["resolved"].sum() == (0.05 > p * np.arange(len(p), 0, -1)).sum()


def test_the_number_of_texts_smaller_students_and_fewer_labels_have_parts_of_their_own(tmp_path):
    for seed in (0, 1):
        made = cell(seed, sizes=(4, 16))
        cells.keep(made, tmp_path / "cells" / f"news-s{seed}.parquet")
        made = tmp_path / f"small-{seed}"
        made.mkdir()
        cell(seed, ARMS[:3]).save(made)
    added = [["--add", str(tmp_path / f"small-{seed}"), "news/small"] for seed in (0, 1)]
    added.append(["--add", str(tmp_path / "small-0"), "news, 10 labels/fewer"])
    pool_cells.main([str(tmp_path), *sum(added, [])])
    sizes = pd.read_csv(tmp_path / "tables" / "sizes.csv")
    swept = sizes[sizes["arm"] == "generation-distillation"].set_index("size")["value"]
    assert swept.to_dict() == pytest.approx({62: 0.705, 250: 0.705, 1000: 0.785})
    text = (tmp_path / "report.md").read_text()
    assert "figures/sizes.svg" in text and "0.36 million parameters" in text
    assert (tmp_path / "small" / "news-s1.parquet").exists()
    _, fewer = text.split("## Fewer labels")
    assert "| news, 10 labels | 1 | 86.7% |" in fewer  # 78 of the teacher's 90


def test_a_difference_is_the_sum_of_what_is_gained_and_lost_by_doing_as_the_teacher_does(tmp_path):
    """By hand: 10 texts, the teacher wrong on the last 4. The base is right on texts 0 to 3 and on
    all that the teacher gets wrong; the arm on all that the teacher gets right, and on one more.
    """
    gold = np.zeros(10, int)
    right = {"teacher": range(6), "distilled on labelled": (0, 1, 2, 3, 6, 7, 8, 9)}
    right |= {"generation-distillation": (*range(6), 9), "real unlabelled": range(10)}
    outputs = [np.where(np.isin(np.arange(10), list(of)), 0, 1) for of in right.values()]
    table = pd.DataFrame({"arm": [*right], "seed": 1, "student_seed": 0, "student": ""})
    table["accuracy"] = [(row == gold).mean() for row in outputs]
    of = Results(table, np.stack(outputs), pd.DataFrame({"gold": gold}))
    assert teaching.parts(of, "generation-distillation") == pytest.approx((0.2, -0.3))
    assert teaching.parts(of, "real unlabelled") == pytest.approx((0.2, 0.0))
    shown = teaching.followed({"news": of}).iloc[0].tolist()
    assert shown == ["news", "+20.0", "-30.0", "+20.0", "+0.0"]
