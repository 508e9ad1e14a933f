"""The benchmarks: turns, medians, ratios and shares by hand; and every row on tiny networks. No
time is asserted.
"""

import filecmp
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch

from benchmarks import ROWS, page, parts, timing
from benchmarks.__main__ import main, measure
from benchmarks.making import tokens
from benchmarks.workbench import INSTALL, Sizes, Workbench
from gdlib.core import settings as config
from gdlib.core.store import Store
from gdlib.studies.generation.settings import Settings

SMALL = Sizes(
    batch=4,
    new_tokens=8,
    labelled=20,
    steps=3,
    answered=64,
    factors=(1, 2),
    grown=(8, 4),
    students=(2, 1),
)


def test_contestants_take_turns_and_medians_make_the_ratio(monkeypatch):
    asked = []

    def given(name: str, *values: float) -> timing.Call:
        return lambda number: asked.append((name, number)) or values[number]

    monkeypatch.setattr(timing, "peak", lambda precision, threads: 1000.0 * threads)
    calls = {
        "ours": given("ours", 1, 9, 2),
        "other": given("other", 8, 7, 9),
        "third": timing.Missing("why"),
    }
    work = {"ours": timing.Work(50.0, "fp32")}
    first, second = timing.compare("row", "s", calls, rounds=3, work=work, threads=2)
    assert asked == [(name, number) for number in range(3) for name in ("ours", "other")]
    assert tuple(first) == timing.COLUMNS[:9] + timing.COLUMNS[-1:]
    assert first["our value"] == 2 and first["its value"] == 8 and first["ratio"] == 4
    assert first["our % of peak"] == pytest.approx(100 * (50 / 2) / 2000)
    assert first["its % of peak"] is None and first["note"] == ""
    assert np.isnan(second["ratio"]) and second["note"] == "why"
    (more,) = timing.compare("row", "texts/s", dict(list(calls.items())[:2]), rounds=3)
    assert more["ratio"] == 2 / 8


def test_tokens_after_the_end_of_a_text_do_not_count():
    end = 9
    ids = torch.tensor([[1, 9, 9, 9], [1, 2, 3, 4], [9, 5, 5, 9]])
    assert tokens(ids, end) == 2 + 4 + 1


def test_an_unknown_row_is_named(tmp_path):
    with pytest.raises(SystemExit, match='^benchmarks: unknown row "pea"; did you mean "peak"?'):
        main(["--only", "pea", "--out", str(tmp_path)])


def test_rows_measured_with_the_same_are_joined_in_their_order(tmp_path):
    for row, about in (("b", "this"), ("a", "this"), ("c", "other"), ("b", "this")):
        parts.keep(tmp_path, row, about, [{"row": row, "ratio": 1.5}])
    lines, others = parts.joined(tmp_path, "this", ["a", "b", "c", "d"])
    assert [line["row"] for line in lines] == ["a", "b"] and others == ["c"]


def test_a_page_has_the_same_bytes_each_time(tmp_path):
    table = pd.read_csv(Path(__file__).parents[1] / "reports" / "performance" / "results.csv")
    names = ["report.md", "results.csv", page.FIGURE, page.GROWTH, page.PEAK]
    one, *others = (page.write(table, tmp_path / name, "a machine", 3).parent for name in "abcdef")
    for other in others:  # matplotlib's own layout gave other bits each third time
        assert filecmp.cmpfiles(one, other, names, shallow=False) == (names, [], [])


@pytest.mark.slow
def test_every_row_gives_lines_with_the_columns_of_the_table(tmp_path, monkeypatch):
    for package in ("textbrewer", "model2vec"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    monkeypatch.setattr(timing, "SIDE", 64)
    networks = {
        "corpus": str(tiny.corpus(tmp_path / "corpus")),
        "teacher": str(tiny.encoder(tmp_path / "encoder")),
        "generator": str(tiny.causal(tmp_path / "causal")),
    }
    settings = config.build(Settings, config.profile("generation", "smoke") | networks)
    bench = Workbench(
        settings, Store(tmp_path / "store"), rounds=1, sizes=SMALL, base=networks["teacher"]
    )
    table = page.table_of([line for _, lines in measure(bench, list(ROWS)) for line in lines])
    assert table.columns.tolist() == list(timing.COLUMNS)
    assert table["row"].unique().tolist() == list(ROWS)
    here = table[table["note"] != INSTALL]
    assert (here[["our value", "its value", "ratio"]] > 0).all(axis=None)
    missing = table[table["note"] == INSTALL]
    assert set(missing["row"]) == {"distilling", "one text", "32 texts", "size", "accuracy"}
    assert set(missing["against"].str.split().str[0]) == {"TextBrewer", "Model2Vec"}
    assert missing["its value"].isna().all()
    assert (here.loc[here["row"] == "growth", "our peak MB"] > 50).all()
    known = here[here["row"].isin(["sampling", "labelling"])]
    assert (known[["our % of peak", "its % of peak"]] > 0).all(axis=None)
    written = page.write(table, tmp_path / "out", "a machine", 1)
    assert "| labelling | gdlib " in written.read_text("utf-8")
    assert pd.read_csv(tmp_path / "out" / "results.csv").columns.tolist() == list(timing.COLUMNS)
    for figure in (page.FIGURE, page.GROWTH, page.PEAK):
        assert (tmp_path / "out" / figure).read_text("utf-8").startswith("<?xml")
    assert written.read_text("utf-8").count("13,600 texts labelled") == 1
