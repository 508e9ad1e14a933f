"""Study 1 from end to end where it hurts: texts, classes and a folder that hold what pages,
Markdown, formulas, templates and terminals read as their own; and a funnel that lets no generated
text through, or one.
"""

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import nbformat
import numpy as np
import pandas as pd
import pytest
import tiny
from browser.chromium import Chromium, installed
from nbconvert import HTMLExporter

from gdlib.core.plans import expand
from gdlib.core.wording import UNSEEN
from gdlib.run import pipeline
from gdlib.studies.generation.study import GenerationStudy

ROOT = Path(__file__).parents[1]
OWNED = "document.title='owned'"
TEMPLATE, EVALUATED = "{{ 'qzxj' ~ 'vwkp' }}", "qzxjvwkp"
FOLDER = f"<img src=x onerror={OWNED}> $x$ `b` {TEMPLATE} |c"
CLASSES = {
    "animals": f"animals <script>{OWNED}</script>",
    "music": f"music $\\frac{{$ | `code` {TEMPLATE} [a](javascript:{OWNED})",
    "weather": "weather \x1b[31mred\x1b[0m \u202eright \u200f<b>&amp;",
}
PLANTED = (
    f"<script>{OWNED}</script>",
    f"</script></style></textarea><img src=x onerror={OWNED}>",
    f"$y$ | `z` {TEMPLATE}",
    f"\x1b[31m\u202e![i](x) [a](javascript:{OWNED})",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with the corpus and two tiny networks in it."""
    folder = tmp_path_factory.mktemp("hostile")
    corpus = tiny.corpus(folder / FOLDER, classes=3, texts=60, test=40)
    for part in ("train", "test"):
        table = pd.read_csv(corpus / f"{part}.csv")
        table["label"] = table["label"].map(CLASSES)
        table["text"] = [f"{PLANTED[n % 4]} {text}" for n, text in enumerate(table["text"])]
        table.to_csv(corpus / f"{part}.csv", index=False)
    tiny.encoder(folder / "encoder")
    tiny.causal(folder / "causal", words=" ".join(PLANTED).split())
    for name in ("notebooks", "gdlib"):
        os.symlink(ROOT / name, folder / name)
    return folder


def run(folder: Path, min_confidence: float) -> SimpleNamespace:
    """A run of the smoke profile whose generated texts begin as labelled ones do."""
    settings = {"corpus": FOLDER, "teacher": str(folder / "encoder"), "students": ("KimCNN",)}
    settings |= {"generator": str(folder / "causal"), "prefix_tokens": 16, "max_new_tokens": 60}
    settings |= {"overlap_words": 100, "min_confidence": min_confidence}
    plan, lines = pipeline.plan_of("generation"), []
    chosen = pipeline.settings_of(plan, "smoke", settings)
    one = pipeline.Run(plan, chosen, "smoke", folder, say=lines.append)
    one.execute()
    study = GenerationStudy(expand(plan, chosen)[0].settings, one.open_store())
    return SimpleNamespace(
        lines=lines,
        folder=one.folder,
        text=(one.folder / "report/report.md").read_text("utf-8"),
        samples=study.samples(),
        accuracy=study.results().table.set_index("arm")["accuracy"],
    )


class Elements(HTMLParser):
    """What a browser would run of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.code, self.inside = [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found += [(tag, f"{name}={value}") for name, value in attributes]
        self.inside = tag == "script" and dict(attributes).get("type") != "application/json"

    def handle_data(self, data):
        if self.inside:
            self.code.append(data)

    def handle_endtag(self, tag):
        self.inside = False

    def planted(self) -> list:
        handlers = [each for each in self.found if each[1].startswith("on")]
        links = [each for each in self.found if re.match(r"(src|href)=(x$|javascript:)", each[1])]
        return handlers + links + [code for code in self.code if "owned" in code]


def page_of(notebook: Path) -> str:
    return HTMLExporter().from_notebook_node(nbformat.read(notebook, 4))[0]


def check_files(made: SimpleNamespace) -> None:
    """No file that the run wrote interprets what was planted."""
    assert all(Elements(text).planted() for text in PLANTED[:2]), "it would be found"
    report = made.folder / "report"
    notebooks = [path for path in made.folder.rglob("*.ipynb") if report not in path.parents]
    pages = {path.name: page_of(path) for path in notebooks}
    pages |= {path.name: path.read_text("utf-8") for path in report.glob("*.html")}
    assert len(notebooks) == 6 and {"report.html", "timings.html"} < set(pages)
    for name, page in pages.items():
        assert Elements(page).planted() == [], name
        assert EVALUATED not in page, name
    assert OWNED.replace("'", "&#39;") in pages["corpus.ipynb"] or OWNED in pages["corpus.ipynb"]
    figures = [*report.glob("figures/*.svg")]
    for path in figures:
        tags = {each.tag.rpartition("}")[2] for each in ElementTree.parse(path).iter()}
        assert not tags & {"script", "img", "foreignObject", "a"}, path.name
    assert len(figures) > 8
    for path in report.glob("*.md"):
        text = path.read_text("utf-8")
        assert not re.search("<(script|img|/?b>)|[^\\\\]\\$", text), path.name
        assert EVALUATED not in text and not re.search(UNSEEN.replace("\x00-\x1f", "\x1b"), text)
        for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert all(part.isprintable() for line in made.lines for part in line.split("\n"))


def check_browser(made: SimpleNamespace, tmp_path: Path) -> None:
    """Nothing of it runs in a browser, also in the report's box that answers what is typed."""
    if not installed():
        print("no Chromium on this machine: the pages were not opened")
        return
    (tmp_path / "page.html").write_text(page_of(next(made.folder.rglob("corpus.ipynb"))), "utf-8")
    with Chromium() as browser:
        browser.call("Network.enable")  # scripts from elsewhere are waited for in vain
        browser.call("Network.setBlockedURLs", urls=["http://*", "https://*"])
        browser.open((tmp_path / "page.html").as_uri())
        browser.wait("document.readyState === 'complete' && document.scripts.length > 0")
        assert browser.js("document.querySelectorAll('table').length") > 1
        assert browser.js("document.title") == "Notebook"
        browser.open((made.folder / "report/report.html").as_uri())
        browser.wait("document.querySelector('#ask')?.gdlib !== undefined")
        named = "document.querySelectorAll('#ask .answers section:first-child .answer span')"
        labels = browser.js(f"[...{named}].map((e) => e.textContent)")
        assert len(labels) == 3 and set(labels) <= set(CLASSES.values()), labels
        browser.js("document.querySelector('#ask').open = true")
        browser.js("document.querySelectorAll('#ask button').forEach((each) => each.click())")
        browser.js("document.querySelector('#ask textarea').value = ''")
        browser.click("document.querySelector('#ask textarea')")
        browser.type(PLANTED[1])
        browser.wait("document.querySelector('#ask .words').textContent.includes('onerror')")
        assert not browser.js("document.title").startswith("owned")
        assert browser.js("document.querySelectorAll('img[src=x], #ask script').length") == 2


@pytest.mark.slow
def test_no_generated_text_is_kept_then_one_of_a_hostile_corpus(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)  # in which paths are relative
    none = run(folder, min_confidence=1.0)
    fates = none.samples["fate"]
    assert "kept" not in set(fates) and (fates == "low confidence").sum() > 2
    assert "labelled texts alone, since **no generated text passed the funnel**, has" in none.text
    assert "Generated texts beside the labelled ones" not in none.text
    assert none.text.count("**No sample passed the funnel**") == 1
    assert none.accuracy["generation-distillation"] == none.accuracy["distilled on labelled"]
    check_files(none)

    best = none.samples["confidence"][fates == "low confidence"].max()
    one = run(folder, min_confidence=float(np.nextafter(best, 0)))
    assert (one.samples["fate"] == "kept").sum() == 1
    assert "no generated text" not in one.text and "No sample" not in one.text
    assert "labelled texts alone, generated texts change it by" in one.text
    assert {"labelled only", "real unlabelled", "scraps", "tfidf-lr"} <= set(one.accuracy.index)
    assert set(one.accuracy.index) == set(none.accuracy.index)
    check_files(one)
    check_browser(one, tmp_path)
