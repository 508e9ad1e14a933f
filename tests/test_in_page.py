"""Students in a page: read and computed by the page's own script as by torch."""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from markupsafe import Markup

from gdlib.core.templates import templates
from gdlib.networks import in_page, students
from gdlib.networks.distillation import predict
from gdlib.networks.export import Packed
from gdlib.networks.students import Vocabulary
from gdlib.run import page
from gdlib.sources import zoo

sys.path.insert(0, str(Path(__file__).parent / "browser"))
from chromium import Chromium, installed  # noqa: E402

LABELS = ("animals", "food <b>", "</script>")
LENGTH = 12
TEXTS = [
    *tiny.texts_of("animals", 20, 0),
    "",
    " \t\n",
    "zzz qqq",
    "Dog, DOG; dog's (cat)!",
    "a $5 dog ~ cat+dog=cat^2 `dog` <b>dog</b> | cat",
    "d\u00f6g c\u0327at \u0130stanbul \u00c9t\u00c9 \u03a3\u03a3",
    "dog\u00a0cat\u2003dog\u200bcat\u0000dog\ufffdcat\u000bdog\u0085cat\u2028dog\ufeff",
    "\u732b dog\u732b\u72ac \U0001f415 \u2014dog\u2026 \u00abcat\u00bb \u00b2 \u00bd \u0e2b",
    "d" * 99 + " " + "d" * 100 + " " + "d" * 101,
    " ".join(["dog"] * 40),
]


@pytest.fixture(scope="module", params=in_page.FAMILIES, ids=lambda family: family.__name__)
def packed(request, tmp_path_factory):
    """Two students with random weights, the tokenizer, and the rows of the texts."""
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = zoo.tokenizer(zoo.locate(str(tiny.encoder(folder))))
    pieces = students.encode(tokenizer, TEXTS, LENGTH)
    known = Vocabulary.seen(pieces, tokenizer.pad_token_id, tokenizer.unk_token_id, 15)
    torch.manual_seed(0)
    name = request.param.__name__
    made = {
        f"arm {number} <i>": Packed(
            students.build(name, len(known), len(LABELS), 9000, 16, 0.3).eval(),
            known,
            temperature,
            len(tokenizer),
        )
        for number, temperature in enumerate((1.7, 0.4))
    }
    return made, tokenizer, known.rows(pieces)


def weights(tensor: dict[str, object]) -> np.ndarray:
    """What eight bits say, worked out once more: row times scale."""
    values = base64.b64decode(tensor["values"])
    if "scale" not in tensor:
        return np.frombuffer(values, "<f4")
    scale = np.frombuffer(base64.b64decode(tensor["scale"]), "<f4")
    rows = np.frombuffer(values, np.int8).reshape(len(scale), -1) * scale[:, None]
    return rows.reshape(tensor["shape"])


def expected(student: torch.nn.Module, rows: list[list[int]], temperature: float) -> np.ndarray:
    return (predict(student, rows) / temperature).softmax(-1).numpy()


def test_eight_bits_are_within_a_254th_of_the_largest_of_a_row(packed):
    made, tokenizer, _ = packed
    data = in_page.payload(made, tokenizer, LABELS, LENGTH)
    for student, (name, own) in zip(data["students"], made.items()):
        assert student["name"] == name
        for place, value in own.student.state_dict().items():
            found, largest = weights(student["tensors"][place]), value.abs().numpy()
            if value.dim() == 1:
                np.testing.assert_array_equal(found, value.numpy())
                continue
            largest = largest.reshape(len(value), -1).max(1)
            off = np.abs(found - value.numpy()).reshape(len(value), -1).max(1)
            assert (off <= largest / 254 * 1.001).all() and off.any()


@pytest.mark.slow
@pytest.mark.skipif(not installed(), reason="no Chromium on this machine")
def test_the_page_reads_and_answers_as_torch_does(packed, tmp_path):
    made, tokenizer, rows = packed
    assert in_page.can_read(tokenizer)
    data = in_page.payload(made, tokenizer, LABELS, LENGTH)
    environment = templates(autoescape=True)
    script = environment.loader.get_source(environment, "student.js")[0]
    inset = environment.get_template("student.html.j2").render(
        about="A student.",
        examples=["dog", "<img src=x onerror=alert(1)>"],
        data=data,
        script=Markup(script),
    )
    (tmp_path / "report.html").write_text(page.render("# A\n\n## B", tmp_path, inset), "utf-8")
    with Chromium() as browser:
        browser.open((tmp_path / "report.html").as_uri())
        browser.wait("document.querySelector('#ask')?.gdlib !== undefined")
        read = "(t) => document.querySelector('#ask').gdlib.read(t).flatMap((e) => e.rows)"
        browser.js(f"window.rows = {json.dumps(TEXTS)}.map({read})")
        read = browser.js("rows")
        for text, own, theirs in zip(TEXTS, rows, read):
            assert (theirs or [students.UNKNOWN]) == own, text
        for number, (own, sent) in enumerate(zip(made.values(), data["students"])):
            answer = f"document.querySelector('#ask').gdlib.students[{number}].answer"
            found = browser.js(f"rows.map({answer})")
            exact = expected(own.student, rows, own.temperature)
            # The float32 network with the same eight-bit weights: the arithmetic alone.
            state = {p: torch.tensor(weights(t)) for p, t in sent["tensors"].items()}
            own.student.load_state_dict(state)
            same = expected(own.student, rows, own.temperature)
            np.testing.assert_allclose(found, same, atol=1e-5)
            assert np.abs(np.array(found) - exact).max() < 0.02 and exact.std() > 0.01

        # what a reader does: open the box, type, take an example
        browser.click("document.querySelector('#ask summary')")
        browser.js("document.querySelector('#ask textarea').value = ''")
        browser.click("document.querySelector('#ask textarea')")
        browser.type("dog <b>cat</b>")
        browser.wait("document.querySelector('#ask .words').textContent === 'dog <b>cat</b>'")
        shown = browser.js("[...document.querySelectorAll('#ask h3')].map((e) => e.textContent)")
        assert shown == list(made)
        named = "[...document.querySelectorAll('#ask .answers section:first-child span')]"
        labels = browser.js(f"{named}.slice(0, 3).map((e) => e.textContent)")
        assert labels == list(LABELS)
        bars = browser.js(
            "[...document.querySelectorAll('#ask .answer')].map((e) => [parseFloat(e.lastChild"
            ".textContent), e.querySelector('i').offsetWidth, e.offsetWidth])"
        )
        for share, wide, line in bars:  # as long as the share says, with room for the number
            assert wide == pytest.approx(0.4 * line * share / 100, abs=1)
        browser.click("document.querySelectorAll('#ask button')[1]")
        browser.wait("document.querySelector('#ask .words').textContent.includes('onerror')")
        assert browser.js("document.querySelectorAll('img, #ask b b').length") == 0


def test_other_tokenizers_are_not_read(tmp_path):
    cased = zoo.tokenizer(zoo.locate(str(tiny.encoder(tmp_path / "encoder"))))
    assert in_page.can_read(cased)
    state = json.loads(cased.backend_tokenizer.to_str())
    state["normalizer"]["lowercase"] = False
    from tokenizers import Tokenizer

    cased._tokenizer = Tokenizer.from_str(json.dumps(state))
    assert not in_page.can_read(cased)
    causal = zoo.tokenizer(zoo.locate(str(tiny.causal(tmp_path / "causal"))))
    assert not in_page.can_read(causal)
