"""The explorer's looks: from samples to HTML by the macros of ``templates/explorer.html.j2``, which
escape every value.
"""

import re
from typing import Any

import numpy as np
from markupsafe import Markup

from gdlib.core.templates import templates
from gdlib.explorer.view import SampleView

RUN = 3  # so many shared words in a row are no longer chance


def percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.1f}%"


def ranked(view: SampleView, row: int) -> np.ndarray:
    """Positions of the classes, those that teacher or student finds likeliest first; none if
    neither of them saw the text.
    """
    highest = np.fmax.reduce([shares[row] for shares in view.probabilities.values()])
    return np.argsort(-highest, kind="stable")[: 0 if np.isnan(highest).any() else None]


def overlap(text: str, other: str) -> list[tuple[str, str]]:
    """``text`` in pieces, each after its kind: "run" (of three and more words that ``other`` has in
    the same order, with what stands between them), "word" (that ``other`` has too) or "".
    """
    pieces = re.split(r"(\w+)", text)  # the words are at the odd positions
    words = [word.casefold() for word in pieces[1::2]]
    others = [word.casefold() for word in re.findall(r"\w+", other)]
    shared, runs = set(others), set(zip(*(others[k:] for k in range(RUN)), strict=False))
    kinds = [""] * len(pieces)
    kinds[1::2] = ["word" if word in shared else "" for word in words]
    for start in range(len(words)):
        if tuple(words[start : start + RUN]) in runs:
            kinds[2 * start + 1 : 2 * (start + RUN)] = ["run"] * (2 * RUN - 1)
    return list(zip(kinds, pieces, strict=True))


def _macros() -> Any:
    environment = templates(autoescape=True)
    style = environment.loader.get_source(environment, "explorer.css")[0]
    environment.globals |= {"ranked": ranked, "overlap": overlap, "style": Markup(style)}
    environment.filters["percent"] = percent
    return environment.get_template("explorer.html.j2").module


# One function per piece of the page: static, line, detail, bars, summary, results, notice.
looks = _macros()
