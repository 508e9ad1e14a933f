"""The map of texts as a picture, for paper and for pages in which nothing can be clicked."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gdlib.charts.style import Steady

SIDE = 4.2  # inches, of a panel


def map_of_texts(
    places: np.ndarray,
    codes: np.ndarray,
    names: Sequence[str],
    colours: Sequence[str],
    panels: Mapping[str, np.ndarray],
) -> Figure:
    """One panel per kind of text, side by side with the same axes; axes that mean nothing have no
    numbers.

    Args:
        places: *Shape:* ``[texts, 2]``
        codes: the number of each text's colour. *Shape:* ``[texts]``
        names: what the colours mean.
        colours: at least one per name.
        panels: title to the texts that are in the panel. *Shape:* ``[texts]``, boolean
    """
    figure = Figure(figsize=(SIDE * len(panels), SIDE + 0.5), layout=Steady())
    for axes, (title, rows) in zip(
        figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0], panels.items()
    ):
        size = np.clip(12000 / max(1, len(codes)), 0.5, 8)
        axes.scatter(*places[rows].T, s=size, c=np.array(colours)[codes[rows]], linewidths=0)
        axes.set(title=f"{title} ({rows.sum():,})", xticks=[], yticks=[])
    dots = [Line2D([], [], linestyle="", marker="o", color=c) for c in colours[: len(names)]]
    columns = min(len(names), 7)
    legend = figure.legend(dots, names, loc="outside lower center", ncols=columns, fontsize=8)
    for text in legend.get_texts():  # a class may be named with dollar signs
        text.set_parse_math(False)
    return figure
