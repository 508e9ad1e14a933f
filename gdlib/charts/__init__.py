"""Figures, from tables: five chart functions for all studies, and three of a network's training.

They share one vocabulary of columns, that of :mod:`gdlib.compare.tables`.
"""

from gdlib.charts.curves import calibration, learning_curve, lines, unfreezing
from gdlib.charts.dots import forest
from gdlib.charts.shares import bars, histogram, matrix
from gdlib.charts.style import BLACK, GREYS, Mark, marks_of, use_style
from gdlib.charts.words import short

__all__ = [
    "BLACK", "GREYS", "Mark", "bars", "calibration", "forest", "histogram", "learning_curve",
    "lines", "marks_of", "matrix", "short", "unfreezing", "use_style",
]  # fmt: skip
