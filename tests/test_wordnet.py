"""The compact WordNet: whole, recoverable, licensed."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from gdlib.sources import wordnet

sys.path.append(str(Path(__file__).parents[1] / "tools"))
import pack_wordnet  # noqa: E402


@pytest.fixture(scope="module")
def senses() -> pd.DataFrame:
    return wordnet.senses()


def test_totals(senses: pd.DataFrame) -> None:
    assert len(senses) == senses["sense_key"].nunique() == 206_941
    assert senses["lemma"].nunique() == 147_306
    assert senses["synset"].nunique() == 117_659
    assert senses["lexname"].nunique() == 45
    sets = wordnet.synsets()
    assert len(sets) == sets["synset"].nunique() == 117_659
    assert sets["pos"].value_counts().to_dict() == {
        "noun": 82_115,
        "adj": 18_156,
        "verb": 13_767,
        "adv": 3_621,
    }
    assert sets["examples"].map(len).sum() == 48_339
    assert (sets["examples"].map(len) > 0).sum() == 32_923


def test_known_entries(senses: pd.DataFrame) -> None:
    by_key = senses.set_index("sense_key")
    bank = by_key.loc["bank%1:17:01::"]
    assert (bank["lemma"], bank["pos"], bank["rank"], bank["lexname"]) == (
        "bank",
        "noun",
        1,
        "noun.object",
    )
    assert bank["definition"] == "sloping land (especially the slope beside a body of water)"
    assert bank["examples"] == [
        "they pulled the canoe up on the bank",
        "he sat on the bank of the river and watched the currents",
    ]
    assert bank["tag_count"] == 25
    satellite = by_key.loc[
        "able%5:00:00:capable:00"
    ]  # an adjective satellite names its head word in the key
    assert (satellite["pos"], satellite["synset"].split(":")[0], satellite["lexname"]) == (
        "adj",
        "adj",
        "adj.all",
    )
    assert by_key.loc["be%2:42:03::", "tag_count"] == 10_742
    assert senses[(senses["lemma"] == "bank") & (senses["pos"] == "noun")][
        "rank"
    ].sort_values().tolist() == list(range(1, 11))


def test_packing_the_senses_again_gives_them_back(
    senses: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = senses.iloc[::50].reset_index(drop=True)
    pack_wordnet.pack(some, tmp_path)
    monkeypatch.setattr(wordnet, "DATA", tmp_path)
    monkeypatch.setattr(wordnet, "synsets", wordnet.synsets.__wrapped__)
    pd.testing.assert_frame_equal(wordnet.senses(), some)


def test_irregular_forms_are_packed_from_wordnets_own_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pos in wordnet.POS:
        (tmp_path / f"{pos}.exc").write_text(
            "axes ax axis\nabaci abacus\n" if pos == "noun" else ""
        )
    pack_wordnet.pack_exceptions(tmp_path, tmp_path)
    monkeypatch.setattr(wordnet, "DATA", tmp_path)
    assert wordnet.exceptions.__wrapped__("form") == {
        ("noun", "axes"): ("ax", "axis"),
        ("noun", "abaci"): ("abacus",),
    }


def test_noun_glosses() -> None:
    texts, labels = (column.tolist() for _, column in wordnet.noun_glosses().items())
    assert len(texts) == len(labels) == 69_885
    assert len(set(labels)) == 14
    assert min(len(text.split()) for text in texts) == 4
    found = dict(zip(texts, labels, strict=True))
    assert found["a building in which the business of banking transacted"] == "artifact"
    assert (
        found[
            (
                "a financial institution that accepts deposits and channels the money into "
                "lending activities"
            )
        ]
        == "group"
    )
    assert (
        "sloping land (especially the slope beside a body of water)" not in found
    )  # noun.object is the fifteenth largest


def test_the_files_are_small_and_the_notice_is_beside_them() -> None:
    sizes = [path.stat().st_size for path in wordnet.DATA.iterdir()]
    assert max(sizes) < 5e6
    assert sum(sizes) < 9e6
    notice = (wordnet.DATA / "WORDNET-LICENSE").read_text("utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in notice
    assert "Permission to use, copy, modify and distribute" in notice
