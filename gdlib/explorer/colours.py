"""The colours of the dots on the map."""

import numpy as np

from gdlib.explorer.view import SampleView

# Okabe and Ito's colours, which colour-blind readers tell apart, then tints of them.
PALETTE = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a900", "#7f7f7f"),
    *("#6a51a3", "#a65628", "#66c2a5", "#e7298a", "#1b4f72", "#a1d99b", "#fb9a99", "#4d4d4d"),
)
UNSEEN = "#bbbbbb"
# What a dot's colour can say: the column of the view's frame.
COLOURS = {
    "teacher's class": "label",
    "student and teacher": "student",
    "real or generated": "source",
}


def codes_of(view: SampleView, column: str) -> tuple[np.ndarray, list[str], list[str]]:
    """The number of each text's colour, the colours, and what each means: the kinds of a column,
    then that a text has none. *Shape:* ``[texts]``, uint8.
    """
    values = view.frame[column].cat
    kinds = [str(kind) for kind in values.categories]
    colours = [PALETTE[k % len(PALETTE)] for k in range(len(kinds))]
    codes = values.codes.to_numpy().astype(int)
    codes[codes < 0] = len(kinds)
    has_none = bool((codes[view.placed] == len(kinds)).any())
    return codes.astype(np.uint8), [*colours, UNSEEN], [*kinds, *["none"] * has_none]
