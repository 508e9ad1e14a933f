"""The one vocabulary of columns that tables of comparisons have and charts read.

A table of arms has one row per panel and arm, a table of differences one row per panel and
question. Values are stored as they are measured, shares in 0..1 and losses in nats: percent and
digits are a matter of the chart or the report.

``panel``: the facet that a row belongs to: a student, corpus, task, test set or domain.
``arm``: the label of a row: an arm, method, encoder or detector.
``mark``: the family that a marker and a color are chosen by, where it is not the arm itself.
``size``: how many texts, labels or instances, where a table sweeps over them.
``value``: the score, averaged over the units of replication, or the difference of two scores.
``low``, ``high``: its 95% interval over items (texts, sentences, instances).
``seeds_low``, ``seeds_high``: its 95% interval over seeds; NaN where there is one.
``left``, ``right``: the two arms of a difference, which is left minus right.
``question``: the same in words, ``left minus right``.
``p``: of a difference, by swapping the two arms' answers.
``resolved``: whether a difference is: zero lies outside both intervals, and there are two seeds or
more.
"""

ARM_COLUMNS = ("panel", "arm", "value", "low", "high", "seeds_low", "seeds_high")
DIFFERENCE_COLUMNS = (
    "panel",
    "question",
    "left",
    "right",
    "value",
    "low",
    "high",
    "seeds_low",
    "seeds_high",
    "p",
    "resolved",
)
