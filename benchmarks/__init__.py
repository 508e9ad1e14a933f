"""How fast gdlib is beside its peers: ``python -m benchmarks`` measures it and writes a report.

A row is a function from a :class:`~benchmarks.workbench.Workbench` to lines of the table
(:func:`~benchmarks.timing.compare`). Here stand the rows' names; a row's module is imported when
the row is measured. A further row is one function and one line here.
"""

from gdlib.core.registry import Registry

ROWS = Registry("row")
ROWS.add("peak", "benchmarks.making:peak", "what this machine multiplies at most")
ROWS.add("sampling", "benchmarks.making:sampling", "writing texts, against transformers")
ROWS.add("labelling", "benchmarks.making:labelling", "the teacher's logits, against transformers")
ROWS.add("distilling", "benchmarks.training:distilling", "a student's training, by TextBrewer too")
ROWS.add("steps", "benchmarks.training:steps", "batches of like length, against random ones")
ROWS.add("growth", "benchmarks.growth:growth", "time and memory as the texts become more")
ROWS.add("students", "benchmarks.training:students", "as the students become more, and workers")
ROWS.add("one text", "benchmarks.answering:one_text", "from a text to its class, one at a time")
ROWS.add("32 texts", "benchmarks.answering:many_texts", "the same, 32 at a time")
ROWS.add("size", "benchmarks.answering:sizes", "what has to be shipped")
ROWS.add("accuracy", "benchmarks.answering:accuracy", "on the test part, after little training")
ROWS.add("commands", "benchmarks.answering:commands", "what a person waits for")
ROWS.add("paper", "benchmarks.paper:paper", "the paper's size, from counted operations")
