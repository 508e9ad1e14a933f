"""Values as texts, and tables as people read them."""

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from gdlib.core import wording

ARM = {"panel": "KimCNN", "arm": "hard labels", "value": 0.7129, "low": 0.69712, "high": 0.728}
OTHER = ARM | {"arm": "soft labels", "value": 0.5, "low": np.nan, "high": np.nan}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"), (3, "3"), (69885, "69,885"), (float("nan"), "–"), (None, "–"),
        (True, "yes"), (0.00001, "1e-05"),
        ([0.5, 1], "[0.500, 1]"), (np.float32(812.34), "812.3"), ("a|b", "a|b"),
    ],
)  # fmt: skip
def test_values_as_texts(value, text):
    assert wording.plain(value) == text


def test_numbers_with_their_unit():
    assert wording.number(0.7891, "share") == "78.9%"
    assert wording.number(213.04, "texts/s") == "213 texts/s"
    assert wording.number(0.65576, "nats") == "0.656 nats" and wording.number(1413) == "1,413"
    assert wording.number("as said") == "as said"
    assert wording.number(20.723, "x") == "21×" and wording.number(2.5, "x") == "2.5×"


def test_a_value_and_its_interval_are_one_cell():
    seeds = [{"seeds_low": 0.70, "seeds_high": 0.726}, {"seeds_low": np.nan, "seeds_high": np.nan}]
    rows = [ARM | seeds[0] | {"macro_f1": 0.68}, OTHER | seeds[1] | {"macro_f1": np.nan}]
    shown = wording.readable(pd.DataFrame(rows)[["macro_f1", *ARM, *seeds[0]]])
    assert shown.columns.tolist() == ["arm", "% [95% interval]", "over seeds", "macro-F1"]
    assert shown.iloc[0].tolist() == ["hard labels", "71.3 [69.7, 72.8]", "[70.0, 72.6]", "68.0%"]
    assert shown.iloc[1].tolist() == ["soft labels", "50.0", "", "–"]


def test_what_answers_the_question_comes_first_and_one_panel_is_not_named():
    row = {
        "ece": 0.1,
        "panel": "KimCNN",
        "retention": 0.9,
        "minus labels": "+1.2 [0.2, 2.1] points",
    }
    two = pd.DataFrame([ARM | row, ARM | row | {"panel": "ResCNN"}])
    order = ["arm", "for", "% [95% interval]", "minus labels", "retention", "calibration error"]
    shown = wording.readable(two)
    assert shown.columns.tolist() == order and shown["minus labels"][0] == "+1.2 [0.2, 2.1]"
    assert "for" not in wording.readable(two.assign(panel=["", "KimCNN"]))


def test_a_loss_is_no_share_and_what_is_empty_goes():
    losses = pd.DataFrame([ARM | {"panel": "", "value": 4.1234, "low": 4.1, "high": 4.25}])
    shown = wording.readable(losses)
    assert shown.to_dict("records") == [
        {"arm": "hard labels", "value [95% interval]": "4.123 [4.100, 4.250]"}
    ]


def test_shares_beside_a_share_are_in_percent_and_beside_a_loss_they_are_not():
    one = ARM | {"panel": "", "changed": 0.343, "found": 0.064, "senseval2": 0.7023, "p": 0.04}
    shown = wording.readable(pd.DataFrame([one])).iloc[0]
    assert [shown[name] for name in ("changed", "found", "senseval2")] == ["34.3%", "6.4%", "70.2%"]
    assert shown["p"] == 0.04
    loss = one | {"value": 4.1234, "low": 4.1, "high": 4.25}
    assert wording.readable(pd.DataFrame([loss])).iloc[0]["changed"] == 0.343


def test_of_a_difference_the_words_stand_for_its_numbers():
    words = "+2.1 [0.3, 4.0] points (not resolved)"
    row = {"panel": "", "question": "a minus b", "left": "a", "right": "b", "value": 0.021}
    row |= {"low": 0.003, "high": 0.04, "seeds_low": np.nan, "seeds_high": np.nan, "p": 0.04}
    shown = wording.readable(pd.DataFrame([row | {"resolved": False, "words": words}]))
    assert shown.to_dict("records") == [
        {"question": "a minus b", "difference, points": "+2.1 [0.3, 4.0] (not resolved)", "p": 0.04}
    ]
    nats = pd.DataFrame([row | {"words": "-0.026 [-0.034, -0.019] nats"}])
    assert wording.readable(nats)["difference"].tolist() == ["-0.026 [-0.034, -0.019] nats"]


def test_words_that_are_counted_are_no_difference():
    counts = pd.DataFrame([{"texts": "real", "distinct_2": 0.8, "self_bleu": 13.5, "words": 12.3}])
    shown = wording.readable(counts)
    assert [*shown.columns] == ["texts", "distinct-2", "self-BLEU", "words per text"]


def test_a_table_of_few_rows_and_many_columns_is_turned():
    classes = [f"class {k}" for k in range(12)]
    parts = pd.DataFrame([{"split": "train", "texts": 1120} | dict.fromkeys(classes, 80)])
    parts = pd.concat([parts, parts.assign(split="test", texts=3000)]).assign(words=[11.4, np.nan])
    turned = wording.readable(parts)
    assert turned.columns.tolist() == ["", "train", "test"]
    assert turned[""].tolist() == ["texts", *classes, "words per text"]
    assert turned["train"].tolist() == ["1,120", *["80"] * 12, "11.400"]
    assert turned["test"].tolist()[-1] == "–"
    assert wording.numeric(turned["test"]) and not wording.numeric(turned[""])
    few = parts.drop(columns=classes[:4])
    assert wording.readable(few).columns.tolist()[:2] == ["split", "texts"]


def test_columns_named_by_data_stay_as_they_are():
    classes = pd.DataFrame({"split": ["test"], "value": [3], "low": [1], "high": [2]})
    pd.testing.assert_frame_equal(wording.readable(classes), classes)
    twice = pd.DataFrame({"macro_f1": [1], "macro-F1": [2]})
    assert wording.readable(twice).columns.tolist() == ["macro_f1", "macro-F1"]


def test_papers_are_links_and_tags_are_text():
    linked = wording.linked("as in <b>arXiv 2002.00733</b>")
    assert linked == "as in &lt;b>[arXiv 2002.00733](https://arxiv.org/abs/2002.00733)&lt;/b>"
    quoted = wording.notag("Of **$x$**\x1b[31m\u202e\n\n- so & so")
    assert quoted == "Of **\\$x\\$** [31m \n\n- so &amp; so"


def test_a_name_of_signs_is_shown_and_read_by_nothing():
    name = "<script>|$x^2$ *b* [l](javascript:a) \x1b[31m \u202eabc {{ 7 }}\n# `c` ~d~"
    shown = wording.cell(name)
    assert shown.isprintable() and "<" not in shown
    for sign in "|$*[]#`~":
        assert shown.count(sign) == shown.count(f"\\{sign}") > 0
    page = MarkdownIt("commonmark", {"html": False}).enable("table")
    table = page.render(wording.grid(pd.DataFrame({name: [name]})))
    words = "&lt;script&gt;|$x^2$ *b* [l](javascript:a) [31m abc {{ 7 }} # `c` ~d~"
    assert f"<th>{words}</th>" in table and f"<td>{words}</td>" in table
