"""Try the explorer in JupyterLab, in a headless Chromium: the map, filters, paging, tabs, marks,
training, hostile texts, both themes.

    python tests/browser/explorer_in_lab.py [--shots FOLDER]

Needs Chromium (Debian: ``apt-get install chromium``); without it, says so and does nothing. Ends
with a line a check.
"""

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
from chromium import Chromium, installed, until
from nbformat.v4 import new_code_cell, new_notebook

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
CODE = """
import made
from gdlib.explorer.explorer import Explorer
table, vectors, student_logits = made.samples()
# A script tag and dollar signs come out best, so that they are on the static page too.
table.loc[[0, 6], "confidence"] = 1.0
how = {"student_logits": student_logits, "marks_path": "marks.json", "train": made.train}
Explorer(table, made.LABELS, vectors=vectors, ask=made.ask, **how)
"""
BY_GROUP = "size of its group of near-duplicates"
APP = "document.querySelector('.gdx-app')"


def say(line: str) -> None:
    print(line, flush=True)


def check(true: object, what: str) -> None:
    say(f"{'ok    ' if true else 'FAILED'} {what}")
    if not true:
        raise SystemExit(1)


def button(text: str) -> str:
    return (
        f"[...{APP}.querySelectorAll('button')].find(b => "
        f"b.textContent.trim().startsWith({json.dumps(text)}))"
    )


def control(label: str, kind: str) -> str:
    """The control with this label, as a person finds it."""
    labels = (
        f"[...{APP}.querySelectorAll('label')].find(l => l.textContent === {json.dumps(label)})"
    )
    return f"{labels}.parentElement.querySelector({json.dumps(kind)})"


def choose(page: Chromium, label: str, starts: str) -> None:
    page.js(
        f"(s => {{ s.selectedIndex = [...s.options].findIndex(o => "
        f"o.text.replaceAll('\\xa0', ' ').startsWith({json.dumps(starts)}));"
        f" s.dispatchEvent(new Event('change', {{bubbles: true}})) }})({control(label, 'select')})"
    )


def count(page: Chromium) -> int:
    return int(page.js(f"{APP}.innerText.match(/([\\d,]+) of [\\d,]+ texts/)[1]").replace(",", ""))


@contextmanager
def lab(folder: Path, theme: str):
    """A JupyterLab of its own on localhost: yields the address of its notebook."""
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    places = {
        f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")
    }
    places |= {
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    env = os.environ | places | {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"}
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        f"--ServerApp.port={port}",
    ]
    command += [
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}",
        "--LabApp.expose_app_in_browser=True",
    ]
    server = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=(folder / "lab.log").open("w")
    )
    try:

        def answers() -> bool:
            try:
                return (
                    urllib.request.urlopen(
                        f"http://127.0.0.1:{port}/api?token={token}", timeout=5
                    ).status
                    == 200
                )
            except (urllib.error.URLError, ConnectionError):
                return False

        until(answers, f"JupyterLab (see {folder / 'lab.log'})", 90)
        yield f"http://127.0.0.1:{port}/lab/tree/try.ipynb?reset&token={token}"
    finally:
        server.terminate()
        server.wait(30)


def open_notebook(page: Chromium, url: str, run: bool = True) -> None:
    page.open(url)
    page.wait(
        "window.jupyterapp && document.querySelector('.jp-Notebook .jp-CodeCell') !== null", 90
    )
    page.js("void jupyterapp.commands.execute('application:toggle-left-area')")
    if run:
        page.js(
            "void (globalThis.panel = [...jupyterapp.shell.widgets('main')].find(w => "
            "w.sessionContext))"
        )
        page.wait("panel.sessionContext.session?.kernel?.status === 'idle'")
        page.js("void jupyterapp.shell.activateById(panel.id)")
        page.js("void jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait(f"{APP} !== null && {APP}.innerText.includes('of 600 texts')", 40)
        time.sleep(1)


def chosen(page: Chromium) -> bool:
    """Whether every choice of a filter says that it does not filter."""
    said = "s.selectedOptions[0]?.text.replaceAll('\\xa0', ' ')"
    all_of = page.js(f"[...{APP}.querySelectorAll('select')].map(s => {said})")
    return all_of[:7] == ["generated (600)", *["any"] * 6]


def try_everything(page: Chromium, folder: Path, shots: Path) -> None:
    check(page.js("window.hacked === undefined"), "hostile texts run nothing")
    check(
        page.js(f"{APP}.querySelector('.row .text').innerText.includes('<script>')"),
        "hostile texts are shown as they are",
    )
    check(chosen(page), "every choice says any at first")
    page.wait("document.querySelector('.gdx-static') !== null")  # it comes after the widget
    page.js("document.querySelectorAll('.gdx-static style').forEach(style => style.remove())")
    look = f"getComputedStyle({APP}.querySelector('.gdx-filters')).display"
    check(page.js(look) == "grid", "the widget has its own style sheet")
    check(
        page.js("getComputedStyle(document.querySelector('.gdx-static')).display") == "none",
        "the static page is hidden",
    )
    check(
        page.js("document.querySelector('mjx-container') === null"),
        "dollar signs are not set as formulas",
    )
    page.shot(shots / "1-opened.png")
    try_the_map_and_the_tabs(page, shots)

    page.click(control("Search", "input"))
    page.type("minister")
    page.wait(f"!{APP}.innerText.includes('600 of 600 texts')")
    found = count(page)
    check(0 < found < 600, f"typing in the search filters at once ({found} left)")
    choose(page, "Student", "differs")
    page.wait(f"!{APP}.innerText.match(/^{found} of 600/m)")
    check(count(page) < found, f"student differs narrows it ({count(page)} left)")
    choose(page, "Sort by", "teacher's confidence")
    page.click(control("Confidence", ".noUi-handle"))
    for _ in range(60):
        page.press("ArrowRight", 39)
    page.wait(f"{APP}.querySelector('.widget-readout').innerText !== '0.00 – 1.00'")
    time.sleep(0.6)
    page.click(f"{APP}.querySelectorAll('.row')[2]")
    page.wait(f"{APP}.querySelectorAll('.row')[2].classList.contains('current')", 10)
    check(
        page.js(f"{APP}.querySelectorAll('.row.current').length") == 1,
        "a click on a line opens it, the other is closed",
    )
    page.shot(shots / "2-filtered.png")
    page.click(button("Clear filters"))
    page.wait(f"{APP}.innerText.includes('600 of 600 texts')")
    time.sleep(0.5)
    check(chosen(page), "every choice says any again after Clear filters")

    page.js(f"{APP}.querySelector('.row').focus()")
    page.press("Tab", 9)
    page.press("Enter", 13)
    page.wait(f"{APP}.querySelectorAll('.row')[1].classList.contains('current')")
    check(True, "Tab and Enter open the next line")
    page.click(button("Drop"))
    page.wait(f"{APP}.innerText.includes('1 marked drop')")
    page.click(control("Note", "input"))
    page.type("cut in <b>half</b>")
    page.press("Enter", 13)
    page.wait(f"{APP}.innerText.includes('1 with a note')")
    page.click(button("Next page"))
    page.wait(f"{APP}.innerText.includes('page 2 of')")
    page.click(f"{APP}.querySelectorAll('.row')[2]")
    time.sleep(0.5)
    page.click(button("Keep"))
    page.wait(f"{APP}.innerText.includes('1 marked keep')")
    page.click(button("Save marks"))
    until(lambda: (folder / "marks.json").exists(), "the marks")
    marks = json.loads((folder / "marks.json").read_text())["marks"]
    check(
        [m["mark"] for m in marks] == ["drop", "keep"] and marks[0]["note"] == "cut in <b>half</b>",
        "the marks are saved",
    )
    page.click(button("Train a student"))
    page.wait(f"{APP}.innerText.includes('Training on ')")
    time.sleep(1)
    page.shot(shots / "3-training.png")
    page.wait(f"{APP}.innerText.includes('+0.5 points')", 30)
    check(True, "a click trains a student and shows it against the unselected one")
    page.shot(shots / "4-trained.png")


CANVAS = f"{APP}.querySelector('canvas')"


def act(what: dict) -> str:
    """What can be clicked with this effect."""
    said = json.dumps(what, sort_keys=True)
    return f"{APP}.querySelector({json.dumps('[data-act=' + json.dumps(said) + ']')})"


def tab(page: Chromium, title: str) -> None:
    page.click(
        f"[...{APP}.querySelectorAll('.jupyter-widget-TabPanel-tabContents, .lm-TabBar-tab')]"
        f".find(t => t.textContent.trim() === {json.dumps(title)})"
    )
    time.sleep(0.5)


def try_the_map_and_the_tabs(page: Chromium, shots: Path) -> None:
    """On 600 generated, 40 labelled and 300 real texts."""
    colours = (
        f"(c => new Set(Array.from({{length: 4000}}, (_, k) => c.getContext('2d').getImageData("
        f"k * 7919 % c.width, k * 104729 % c.height, 1, 1).data.join())).size)({CANVAS})"
    )
    check(page.js(colours) > 5, "the map is drawn in colours")
    page.drag(CANVAS, (0.3, 0.05), (0.75, 0.6))
    page.wait(f"!{APP}.innerText.includes('600 of 600 texts')")
    brushed = count(page)
    check(0 < brushed < 600, f"a rectangle on the map filters the list ({brushed} left)")
    page.click(act({"filters": {"label": "sport"}}))
    page.wait(f"!{APP}.innerText.match(/^{brushed} of 600/m)")
    check(count(page) < brushed, f"a click on a bar's name narrows it ({count(page)} left)")
    page.shot(shots / "a-brushed.png")
    page.click(button("Clear filters"))
    page.wait(f"{APP}.innerText.includes('600 of 600 texts')")
    before = page.js(f"{APP}.innerText.match(/Text #(\\d+)/)[1]")
    for x in (0.35, 0.42, 0.5, 0.57, 0.64):  # among so many dots, one of these hits one
        page.drag(CANVAS, (x, 0.4), (x, 0.4))
    page.wait(f"{APP}.innerText.match(/Text #(\\d+)/)[1] !== {json.dumps(before)}", 20)
    check(True, "a click on a dot opens its text")
    page.click(f"{APP}.querySelector('h4 .link')")
    time.sleep(0.5)
    check("text" in page.js(f"{APP}.querySelector('h4').parentElement.innerText"), "so do links")
    page.click(button("Real texts far from"))
    page.wait(f"{APP}.innerText.includes('300 of 300 texts')")
    check(True, "real texts that nothing covers are listed")
    page.click(button("Clear filters"))
    page.wait(f"{APP}.innerText.includes('600 of 600 texts')")

    drag_over_the_histogram(page, shots)
    tab(page, "Near-duplicates")
    page.click(act({"filters": {"group": -1, "sort": BY_GROUP, "descending": True}}))
    page.wait(f"!{APP}.innerText.includes('600 of 600 texts')")
    sizes = f"[...{APP}.querySelectorAll('.row [title^=near-dup]')].map(s => s.textContent)"
    check(len(set(page.js(sizes)[:2])) == 1, "near-duplicates are listed group by group")
    page.shot(shots / "e-groups.png")
    page.click(button("Clear filters"))
    page.wait(f"{APP}.innerText.includes('600 of 600 texts')")
    tab(page, "Which one is real?")
    page.click(f"{APP}.querySelector('.tag.link')")
    page.wait(f"{APP}.innerText.includes('of 1 right so far')")
    check(True, "the quiz counts a guess")
    page.shot(shots / "b-quiz.png")
    tab(page, "Teacher and student")
    page.click(act({"filters": {"label": "sport", "guess": "politics"}}))
    page.wait(f"!{APP}.innerText.includes('600 of 600 texts')")
    check(0 < count(page) < 60, f"a cell of the grid filters ({count(page)} left)")
    page.shot(shots / "c-grid.png")
    page.click(button("Clear filters"))
    page.wait(f"{APP}.innerText.includes('600 of 600 texts')")
    tab(page, "Words")
    page.wait(f"{APP}.innerText.includes('over-used')", 20)
    page.shot(shots / "d-words.png")
    tab(page, "Type a sentence")
    page.click(f"{APP}.querySelector('input[placeholder^=\"a sentence\"]')")
    page.type("A late <b>winner</b>")
    page.press("Enter", 13)
    page.wait(f"{APP}.innerText.includes('40.5%')")
    check(True, "a typed sentence is answered by teacher and student")
    tab(page, "Export")
    page.click(button("The texts shown as CSV"))
    page.wait(f"{APP}.innerText.includes('marks-selection.csv')")
    check(True, "the selection is written")


def drag_over_the_histogram(page: Chromium, shots: Path) -> None:
    """Drag over the upper bars of the lengths, beyond their end; then click on one, twice."""
    lengths = f"{APP}.querySelectorAll('.histogram')[1]"
    page.drag(lengths, (0.52, 0.5), (1.02, 0.5))
    page.wait(f"!{APP}.innerText.includes('600 of 600 texts')")
    lowest = page.js(f"{control('Length (words)', '.widget-readout')}.textContent")
    check(
        0 < count(page) < 600 and lowest.endswith("24") and lowest[0] != "0",
        f"dragging over bars filters ({count(page)} left, {lowest} words)",
    )
    page.shot(shots / "f-histogram.png")
    page.click(button("Clear filters"))
    page.wait(f"{APP}.innerText.includes('600 of 600 texts')")
    top = f"{APP}.querySelectorAll('.histogram .bin')[19]"
    for wanted in ("!", ""):
        page.click(top)
        page.wait(f"{wanted}{APP}.innerText.includes('600 of 600 texts')")
    check(True, "a click on a bar filters, another takes it back")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--shots", type=Path, help="folder for screenshots (default: a temporary one)"
    )
    given = parser.parse_args()
    if not installed():
        say("skipped: no Chromium on this machine (Debian: apt-get install chromium)")
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        shots = given.shots or folder
        shots.mkdir(parents=True, exist_ok=True)
        kernel = {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        }
        nbformat.write(
            new_notebook(cells=[new_code_cell(CODE.strip())], metadata=kernel), folder / "try.ipynb"
        )
        with lab(folder, "JupyterLab Light") as url, Chromium() as page:
            open_notebook(page, url)
            try_everything(page, folder, shots)
            page.js("void jupyterapp.commands.execute('docmanager:save')")
            until(lambda: "gdx-static" in (folder / "try.ipynb").read_text(), "the saved notebook")
        with lab(folder, "JupyterLab Dark") as url, Chromium() as page:
            open_notebook(page, url, run=False)
            page.wait("document.querySelector('.gdx-static') !== null")
            time.sleep(2)
            seen = page.js("getComputedStyle(document.querySelector('.gdx-static')).display")
            check(
                seen == "block" and page.js(f"{APP} === null"),
                "without a kernel the static page is seen",
            )
            text = page.js("document.querySelector('.gdx-static').innerText")
            quiet = page.js(
                "document.querySelector('mjx-container') === null && window.hacked === undefined"
            )
            check(
                quiet and "<script>" in text and "$$\\frac{1}{2}$$" in text,
                "hostile texts do nothing in it either",
            )
            page.shot(shots / "5-reopened-dark.png")
            open_notebook(page, url)
            check(
                page.js(f"{APP}.innerText.includes('1 marked keep, 1 marked drop, 1 with a note')"),
                "the saved marks are there again",
            )
            page.shot(shots / "6-dark.png")
        export = [
            sys.executable,
            "-m",
            "nbconvert",
            "--execute",
            "--to",
            "html",
            "--no-input",
            "try.ipynb",
        ]
        env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"}
        subprocess.run(export, cwd=folder, env=env, check=True, capture_output=True)
        with Chromium(390, 844) as page:
            page.open((folder / "try.html").as_uri())
            page.wait("document.querySelector('.gdx-static details') !== null")
            check(
                page.js("document.documentElement.scrollWidth") <= 390,
                "the exported page fits a phone",
            )
            check(
                page.js(
                    "window.hacked === undefined && document.querySelector('.gdx-app') === null"
                ),
                "it holds no widget",
            )
            page.shot(shots / "7-phone.png")
            page.js("document.querySelectorAll('details').forEach((d, k) => d.open = k == 4)")
            page.js("document.querySelectorAll('details')[4].scrollIntoView()")
            time.sleep(0.5)
            page.shot(shots / "8-phone-detail.png")
            page.size(1200, 900)
            page.js("document.querySelectorAll('details')[4].scrollIntoView({block: 'center'})")
            time.sleep(0.5)
            page.shot(shots / "9-export.png")


if __name__ == "__main__":
    main()
