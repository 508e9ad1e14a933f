"""The explorer's looks: pure functions from samples to HTML. No script, no outside file; every text
is escaped.

Colours come from JupyterLab's theme where there is one and from mid-tones that read on light and
dark alike; teacher and student differ in pattern too, not in colour alone, and overlapping words
are underlined, so that it all reads in grey.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from gdlib.explorer.view import Marks, Nearest, SampleView

STYLE = """
.gdx { --ink: var(--jp-ui-font-color1, #222); --soft: var(--jp-ui-font-color2, #666); --line: var(--jp-border-color2, #ccc8);
  --fill: #8883; --teacher: #3f83cf; --student: #d08a2c; --good: #2f9a5f; --bad: #cf4a4a;
  color: var(--ink); font: 13px/1.45 var(--jp-ui-font-family, system-ui, sans-serif); }
.gdx * { box-sizing: border-box; }
.gdx .text { unicode-bidi: isolate; overflow-wrap: anywhere; white-space: pre-wrap; }
.gdx .soft { color: var(--soft); }
.gdx .num { font-variant-numeric: tabular-nums; white-space: nowrap; }
.gdx h3 { font-size: 15px; font-weight: 600; line-height: 1.3; margin: 18px 0 6px; }
.gdx h4 { font-size: 13px; font-weight: 600; margin: 14px 0 4px; } .gdx h4 .soft, .gdx h3 .soft { font-weight: 400; }
.gdx p { margin: 4px 0; }
.gdx .tag { display: inline-block; border: 1px solid var(--line); border-radius: 9px; padding: 0 8px; white-space: nowrap; }
.gdx .tag.keep { border-color: var(--good); } .gdx .tag.drop { border-color: var(--bad); }
.gdx .track { display: block; height: 9px; border-radius: 2px; background: var(--fill); overflow: hidden; }
.gdx .bar { display: block; height: 100%; background: var(--teacher); }
.gdx .bar.student { background: repeating-linear-gradient(135deg, var(--student) 0 4px, #d08a2c88 4px 6px); }
.gdx .bar.count { background: var(--soft); }
.gdx .bars { display: grid; grid-template-columns: minmax(64px, max-content) 1fr 46px; gap: 1px 8px; align-items: center; }
.gdx .bars.two { grid-template-columns: minmax(64px, max-content) 1fr 46px 1fr 46px; }
.gdx .bars .name { overflow: hidden; text-overflow: ellipsis; max-width: 170px; } .gdx .bars .num { text-align: right; }
.gdx .top { font-weight: 650; }
.gdx mark { background: #f2b70a3d; color: inherit; text-decoration: underline; text-decoration-color: #c78a00;
  text-underline-offset: 3px; border-radius: 2px; }
.gdx mark.run { background: #f2b70a80; font-weight: 650; text-decoration-thickness: 2px; }
.gdx .facets { display: flex; flex-wrap: wrap; gap: 6px 32px; font-size: 12px; line-height: 17px; }
.gdx .facet { flex: 1 1 240px; } .gdx .facet.wide { flex-basis: 480px; }
.gdx .facet .bars { grid-template-columns: minmax(64px, max-content) minmax(30px, 1fr) minmax(72px, max-content); }
.gdx .facet .bars.wide { grid-template-columns: repeat(2, minmax(64px, max-content) minmax(30px, 1fr) minmax(72px, max-content)); }
.gdx .facet .num { text-align: left; }
.gdx .box { border-left: 3px solid var(--line); padding: 2px 0 2px 10px; margin: 2px 0; }
.gdx .row { display: grid; grid-template-columns: 52px minmax(0, 1fr) 150px; gap: 12px; padding: 6px 8px; align-items: center; }
.gdx .row .text { display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; white-space: normal; }
.gdx .row .name { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.gdx details { border-top: 1px solid var(--line); padding: 4px 0; } .gdx summary { cursor: pointer; }
.gdx summary .line { display: inline-grid; grid-template-columns: minmax(0, 1fr) minmax(120px, 24%); gap: 4px 16px;
  width: calc(100% - 18px); vertical-align: top; }
.gdx details .detail { padding: 4px 0 10px 16px; }
.gdx table.results { border-collapse: collapse; } .gdx .results th, .gdx .results td { padding: 2px 14px 2px 0; text-align: right; }
.gdx .results th:first-child, .gdx .results td:first-child { text-align: left; } .gdx .results th { font-weight: 400; color: var(--soft); }
.gdx .warning { border-left: 3px solid #d08a2c; padding-left: 10px; }
@media (max-width: 600px) { .gdx summary .line { grid-template-columns: 1fr; } .gdx .bars .name { max-width: 96px; }
  .gdx .facet .bars.wide { grid-template-columns: minmax(64px, max-content) minmax(30px, 1fr) minmax(72px, max-content); } }
"""
WORD = re.compile(r"\w+")
RUN = 3  # so many shared words in a row are no longer chance


def framed(body: str) -> str:
    """A piece of HTML under the explorer's style, out of reach of MathJax (generated text may hold
    dollar signs).
    """
    return f'<div class="gdx tex2jax_ignore mathjax_ignore">{body}</div>'


def percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.1f}%"


def _bar(share: float, kind: str = "") -> str:
    width = 0.0 if np.isnan(share) else 100 * min(max(share, 0.0), 1.0)
    return f'<span class="track"><span class="bar {kind}" style="width:{width:.1f}%"></span></span>'


def bars(
    labels: Sequence[str], teacher: np.ndarray, student: np.ndarray | None = None, top: int = 8
) -> str:
    """The teacher's distribution as bars, the student's beside it; the likeliest classes first, the
    rest summed.

    Args:
        labels: class names.
        teacher: probabilities, NaN where the teacher never saw the text. *Shape:* ``(classes,)``
        student: the same of a student. *Shape:* ``(classes,)``
        top: so many classes at most get a line of their own.
    """
    if np.isnan(teacher).any() and student is None:
        return '<p class="soft">The teacher never saw this text.</p>'
    columns = [("teacher", teacher)] + ([("student", student)] if student is not None else [])
    order = np.argsort(-np.nanmax([values for _, values in columns], axis=0), kind="stable")
    shown, rest = (order, order[:0]) if len(order) <= top + 1 else (order[:top], order[top:])
    cells = ["<span></span>"] + [
        f'<span class="soft">{kind}</span><span></span>' for kind, _ in columns
    ]
    for k in shown:
        first = [
            ' class="num top"' if k == _argmax(values) else ' class="num"' for _, values in columns
        ]
        strong = " top" if any("top" in mark for mark in first) else ""
        cells.append(
            f'<span class="name{strong}" title="{escape(labels[k])}">{escape(labels[k])}</span>'
        )
        cells += [
            f"{_bar(p[k], kind)}<span{mark}>{percent(p[k])}</span>"
            for (kind, p), mark in zip(columns, first, strict=True)
        ]
    if len(rest):
        cells.append(f'<span class="name soft">{len(rest)} others</span>')
        cells += [
            f'{_bar(p[rest].sum(), kind)}<span class="num">{percent(p[rest].sum())}</span>'
            for kind, p in columns
        ]
    return f'<div class="bars{" two" if len(columns) > 1 else ""}">{"".join(cells)}</div>'


def _argmax(values: np.ndarray) -> int:
    return -1 if np.isnan(values).any() else int(values.argmax())


def overlap(text: str, other: str) -> str:
    """``text`` as HTML with the words it shares with ``other`` marked; runs of three and more
    shared words stronger.
    """
    spans = list(WORD.finditer(text))
    ours, theirs = (
        [m.group().casefold() for m in spans],
        [m.casefold() for m in WORD.findall(other)],
    )
    shared, grams = set(theirs), set(zip(*(theirs[k:] for k in range(RUN)), strict=False))
    in_run = {
        i + k
        for i in range(len(ours) - RUN + 1)
        if tuple(ours[i : i + RUN]) in grams
        for k in range(RUN)
    }
    out, end = [], 0
    for i, match in enumerate(spans):
        between, word, end = escape(text[end : match.start()]), escape(match.group()), match.end()
        if i in in_run and i - 1 in in_run:  # one mark over the whole run
            out.append(f"{between}{word}")
        elif ours[i] in shared:
            out.append(
                f'{between}<mark class="run">{word}' if i in in_run else f"{between}<mark>{word}"
            )
        else:
            out.append(f"{between}{word}")
        if ours[i] in shared and not (i in in_run and i + 1 in in_run):
            out.append("</mark>")
    return "".join(out) + escape(text[end:])


def verdict(view: SampleView, row: int) -> str:
    """Whether the student is of the teacher's opinion, with a sign; escaped.

    Empty where one of them has none.
    """
    if view.student is None or view.teacher_label[row] < 0:
        return ""
    return (
        "✓ student agrees"
        if view.right[row]
        else f"✗ student: {escape(view.labels[view.student_label[row]])}"
    )


def row_html(view: SampleView, row: int, marks: Marks) -> str:
    """One line of the list: number and mark, the text's beginning, the teacher's class with its
    confidence.
    """
    mark = marks.verdicts.get(row, "")
    sign = f'<span class="tag {mark}">{mark}</span>' if mark else ""
    note = ' <span title="has a note">✎</span>' if row in marks.notes else ""
    label = view.teacher_label[row]
    seen = (
        '<span class="name" '
        f'title="{escape(view.labels[label])}">{escape(view.labels[label])}</span>{_bar(view.confidence[row])}'
        f'<span class="name soft">{verdict(view, row)}</span>'
        if label >= 0
        else f'<span class="tag">{escape(view.fates[row])}</span>'
    )
    text = f'<span class="text" dir="auto">{escape(view.texts[row][:400])}</span>'
    return framed(
        '<div class="row"><span><span class="soft '
        f'num">#{row}{note}</span><br>{sign}</span>{text}<span>{seen}</span></div>'
    )


def detail_html(
    view: SampleView,
    row: int,
    nearest: Nearest,
    classes: Sequence[int],
    marks: Marks,
    heading: bool = True,
) -> str:
    """Everything about one text: fate, measures, both distributions, the nearest labelled text with
    shared words marked.

    Args:
        classes: the class of each labelled text in ``nearest``, positions in the view's labels.
        heading: with the text itself on top.
    """
    found = nearest.find(view.texts[row])
    mark, note = marks.verdicts.get(row), marks.notes.get(row)
    facts = [f'<span class="tag">{escape(view.fates[row])}</span>']
    facts += [f'<span class="tag {mark}">marked {mark}</span>'] if mark else []
    facts += [f'<span class="num">{view.words[row]:.0f} words</span>']
    if view.teacher_label[row] >= 0:
        facts.append(
            f'<span class="num">confidence {percent(view.confidence[row])}, entropy '
            f"{view.entropy[row]:.2f} nats</span>"
        )
    facts += [f"<span>{verdict(view, row)}</span>"] if verdict(view, row) else []
    own = overlap(view.texts[row], nearest.texts[found[0]]) if found else escape(view.texts[row])
    parts = [f'<h4 class="num">Text #{row}</h4>'] if heading else []
    parts += [f'<p class="text box" dir="auto">{own}</p>', f"<p>{' · '.join(facts)}</p>"]
    parts += [f'<p>✎ <span class="text">{escape(note)}</span></p>'] if note else []
    parts.append(
        bars(view.labels, view.teacher[row], None if view.student is None else view.student[row])
    )
    if found is None:
        parts.append(
            '<h4>Nearest labelled text</h4><p class="soft">No labelled text shares a word '
            "with it.</p>"
        )
    else:
        other = nearest.texts[found[0]]
        label = escape(view.labels[classes[found[0]]])
        parts.append(
            f'<h4>Nearest labelled text <span class="soft num">({label}, cosine '
            f"{found[1]:.2f})</span></h4>"
        )
        parts.append(f'<p class="text box" dir="auto">{overlap(other, view.texts[row])}</p>')
        parts.append(
            f'<p class="soft"><mark>shared word</mark> · <mark class="run">run of {RUN} or '
            "more shared words</mark></p>"
        )
    return framed("".join(parts))


def counts_html(
    title: str, counts: Mapping[str, int], total: Mapping[str, int] | None = None
) -> str:
    """Counts as dark bars; with ``total``, each on a light bar of how many there are.

    More than eight in two columns.
    """
    of = total or counts
    longest = max([*of.values(), 1])
    cells = []
    for name, count in counts.items():
        rest = f' <span class="soft">of {of[name]:,}</span>' if count != of[name] else ""
        all_of_them = (
            '<span class="track" '
            f'style="width:{100 * of[name] / longest:.1f}%">{_inner(count, of[name])}</span>'
        )
        cells.append(
            f'<span class="name" title="{escape(name)}">{escape(name)}</span>{all_of_them}'
        )
        cells.append(f'<span class="num">{count:,}{rest}</span>')
    wide = " wide" if len(counts) > 8 else ""
    return (
        f'<div class="facet{wide}"><span class="soft">{escape(title)}</span><div '
        f'class="bars{wide}">{"".join(cells)}</div></div>'
    )


def _inner(count: int, of: int) -> str:
    return f'<span class="bar count" style="width:{100 * count / max(of, 1):.1f}%"></span>'


def summary_html(view: SampleView, rows: np.ndarray | None = None) -> str:
    """Of the rows (default: all), how many met each fate, are in each class of the teacher's, have
    the student right.
    """
    every = np.arange(len(view))
    rows = every if rows is None else rows
    parts = [
        counts_html("what became of them", view.fate_counts(rows), view.fate_counts()),
        counts_html("the teacher's class", view.label_counts(rows), view.label_counts()),
    ]
    if view.student is not None:
        left, total = (
            {"right": int(view.right[of].sum()), "wrong": int(view.wrong[of].sum())}
            for of in (rows, every)
        )
        parts.append(counts_html("student against the teacher", left, total))
    return framed(f'<div class="facets">{"".join(parts)}</div>')


def _opinion(kind: str, labels: Sequence[str], shares: np.ndarray) -> str:
    best = int(shares.argmax())
    said = (
        f'<span class="soft">{kind}</span> {escape(labels[best])} <span class="num '
        f'soft">{percent(shares[best])}</span>'
    )
    return f"{said}{_bar(shares[best], kind)}"


def static_html(
    view: SampleView, nearest: Nearest, classes: Sequence[int], marks: Marks, count: int = 4
) -> str:
    """The explorer for paper, phone and papermill: the funnel in numbers, then best, typical and
    worst kept texts.
    """
    verdicts = list(marks.verdicts.values())
    marked = (
        f"{verdicts.count('keep'):,} marked keep, {verdicts.count('drop'):,} marked drop, "
        f"{len(marks.notes):,} with a note"
    )
    parts = [f"<h3>{len(view):,} generated texts</h3>{summary_html(view)}<p>{marked}.</p>"]
    for title, rows in view.examples(count).items():
        parts.append(
            f'<h3>{title.capitalize()} <span class="soft">by the teacher\'s confidence, '
            "among the kept</span></h3>"
        )
        for row in rows:
            side = _opinion("teacher", view.labels, view.teacher[row])
            side += (
                "" if view.student is None else _opinion("student", view.labels, view.student[row])
            )
            text = f'<span class="text" dir="auto">{escape(view.texts[row])}</span>'
            parts.append(
                f'<details><summary><span class="line">{text}<span>{side}</span></span></summary>'
            )
            parts.append(
                "<div "
                f'class="detail">{detail_html(view, row, nearest, classes, marks, heading=False)}</div></details>'
            )
    return f"<style>{STYLE}</style>" + framed("".join(parts))


def results_html(results: Sequence[Mapping[str, object]]) -> str:
    """Students trained here against the one on the unselected texts, the latest first; further
    numbers as they came.
    """
    if not results:
        return ""
    shown = ("chosen", "texts", "accuracy", "baseline_accuracy")
    more = list(dict.fromkeys(key for result in results for key in result if key not in shown))
    head = ["trained on", "texts", "accuracy", "unselected", "difference", *more]
    lines = ["".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in head)]
    for result in reversed(results):
        own, base = float(result["accuracy"]), float(result["baseline_accuracy"])
        cells = [
            str(result["chosen"]),
            f"{result['texts']:,}",
            percent(own),
            percent(base),
            f"{100 * (own - base):+.1f} points",
        ]
        cells += [
            f"{value:.4g}" if isinstance(value, float) else str(value)
            for value in (result.get(key, "") for key in more)
        ]
        lines.append("".join(f'<td class="num">{escape(cell)}</td>' for cell in cells))
    table = "".join(f"<tr>{line}</tr>" for line in lines)
    note = "One student and one seed each: a difference of a point or two is no finding."
    return framed(f'<table class="results">{table}</table><p class="soft">{note}</p>')
