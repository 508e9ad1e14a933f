"""The explorer's looks: from samples to HTML by the macros of ``templates/explorer.html.j2``, which
escape every value.
"""

import base64
import io
import re
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
from markupsafe import Markup

from gdlib.core.templates import source, templates
from gdlib.explorer.filters import BY_GROUP
from gdlib.explorer.measures import histogram, keywords, neighbours
from gdlib.explorer.view import SampleView

RUN = 3  # so many shared words in a row are no longer chance


def percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.1f}%"


def ranked(shares: dict[str, np.ndarray]) -> np.ndarray:
    """Positions of the classes, those that teacher or student finds likeliest first; none if one of
    them did not see the text.
    """
    highest = np.fmax.reduce(list(shares.values()))
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


def picture(view: SampleView) -> str:
    """The map as a PNG in a data URI, for where nothing can be clicked; "" if there is none."""
    if not view.placed.any():
        return ""
    from gdlib.charts.places import map_of_texts  # matplotlib: half a second, only for a map

    codes, colours, names = view.coloured("label")
    places, rows = view.frame[["x", "y"]].to_numpy(), view.placed
    panels = {"real": rows & ~view.generated, "generated": rows & view.generated}
    figure, file = map_of_texts(places, codes, names, colours, panels), io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _macros() -> SimpleNamespace:
    """The macros; each gives its HTML in a frame of the style sheet's class."""
    environment = templates(autoescape=True)
    style = Markup(source("explorer.css"))
    environment.globals |= {"ranked": ranked, "overlap": overlap, "style": style}
    environment.globals |= {"neighbours": neighbours, "keywords": keywords, "histogram": histogram}
    environment.globals["by_group"] = BY_GROUP
    environment.filters |= {"percent": percent, "n": "{:,}".format}

    def framed(macro: Callable[..., Markup]) -> Callable[..., Markup]:
        # Out of reach of MathJax: generated text may hold dollar signs.
        frame = Markup('<div class="gdx tex2jax_ignore mathjax_ignore">{}</div>')
        return lambda *given, **more: frame.format(macro(*given, **more))

    found = vars(environment.get_template("explorer.html.j2").module).items()
    return SimpleNamespace(**{name: framed(one) for name, one in found if callable(one)})


# One function per piece of the page: static, lines, detail, summary, results, notice.
looks = _macros()
