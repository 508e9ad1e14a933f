"""The commands that take a student out of the study: ``gdlib export`` and ``gdlib predict``."""

import time
from collections.abc import Callable, Mapping
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gdlib.core.errors import GdlibError
from gdlib.run.invocation import on_a_run
from gdlib.run.opening import finished_students

if TYPE_CHECKING:
    import numpy as np


@on_a_run
def export(
    choose: Callable[[], Any],
    folder: Annotated[Path, typer.Argument(help="Where it goes; made if it is not there.")],
) -> None:
    """Write the student of a finished run as files that need no torch.

    The folder gets the student as ONNX (float32, and with 8-bit weights), the tokenizer it reads
    with, its classes, and a card. Both files are checked against torch on the test part.

    [bold]Examples[/bold]

      gdlib export my-student
      gdlib export my-student --corpus bbc
      gdlib predict my-student texts.csv
    """
    from gdlib.networks import export as writing
    from gdlib.run import studies
    from gdlib.run.predict import Exported

    run = choose()
    task, folder = finished_students(run), folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with chdir(run.root):
        study = studies.class_of(run.plan)(task.settings, run.open_store())
        packed, test = study.packed(), study.splits.test
        reads = study.teacher.tokenizer, study.class_names, study.settings.max_length
        writing.write(packed, *reads, folder)
        answers = {
            name: Exported(folder, small=name == writing.SMALL).probabilities(test.texts)
            for name in (writing.FULL, writing.SMALL)
        }
        difference = writing.check(answers[writing.FULL], packed, study.rows(test.texts))
        write_card(folder, run, task, study, answers)
    for name in answers:
        typer.echo(f"{name}: {(folder / name).stat().st_size / 1e6:.2f} MB")
    typer.echo(f"largest difference from torch's probabilities: {difference:.0e}")
    typer.echo(f"written: {folder}; try: gdlib predict {folder} texts.csv")


def write_card(
    folder: Path, run: Any, task: Any, study: Any, answers: Mapping[str, "np.ndarray"]
) -> None:
    """Write ``README.md``: what the student is, how good, from what, under which licences."""
    import pandas as pd

    from gdlib.compare import stats
    from gdlib.core.templates import templates
    from gdlib.core.wording import cell, grid
    from gdlib.run.provenance import licences

    gold, rows = study.splits.test.labels, []
    for name, probabilities in answers.items():
        right = probabilities.argmax(axis=1) == gold
        around = stats.interval(stats.Sample.of([right]))
        accuracy = f"{around.value:.1%} [{around.low:.1%}, {around.high:.1%}]"
        rows.append({"file": name, f"accuracy on {len(gold):,} test texts": accuracy})
    environment = templates(autoescape=False)
    environment.filters["cell"] = cell
    context = {
        "student": study.settings.students[0],
        "corpus": study.settings.corpus,
        "numbers": grid(pd.DataFrame(rows)),
        "labels": ", ".join(study.class_names),
        "padding": study.teacher.tokenizer.pad_token_id,
        "licences": grid(licences([task])),
        "command": run.published_command,
    }
    card = environment.get_template("card.md.j2").render(context)
    (folder / "README.md").write_text(card, "utf-8")


def predict(
    folder: Annotated[Path, typer.Argument(help="What gdlib export has written.")],
    texts: Annotated[
        Path, typer.Argument(help="A table with a column text (CSV, TSV, JSONL, Parquet).")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The table to write; else predictions.csv beside the texts.")
    ] = None,
    small: Annotated[bool, typer.Option("--small", help="With 8-bit weights.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads to compute with.")] = 1,
) -> None:
    """Classify texts with an exported student: the class, and the probability of every class.

    [bold]Examples[/bold]

      gdlib predict my-student texts.csv
      gdlib predict my-student reviews.parquet --small --out classes.csv
    """
    import pandas as pd

    from gdlib.run.predict import Exported
    from gdlib.sources import tables

    student = Exported(folder, small=small, threads=threads)
    out = out or texts.with_name("predictions.csv")
    if out.suffix != ".csv" or not out.absolute().parent.is_dir():
        raise GdlibError(
            f"--out {out}: expected a name that ends in .csv, in a folder that is there"
        )
    table = tables.read(texts)
    if out.exists() and out.samefile(texts):
        raise GdlibError(f"{out} holds the texts; choose another table with --out")
    tables.require(str(texts), table.columns, "text")
    if not len(table):
        raise GdlibError(f"{texts} holds no texts")
    missing = table["text"].isna() | (table["text"].astype(str).str.strip() == "")
    tables.refuse_rows(str(texts), "empty texts", missing)
    new = ["class", *(f"p({label})" for label in student.labels)]
    if taken := [name for name in new if name in table.columns]:
        raise GdlibError(f'{texts} has a column "{taken[0]}" already; give it another name')
    start = time.perf_counter()
    answers = student.probabilities(table["text"].astype(str).tolist())
    seconds = time.perf_counter() - start
    shares = pd.DataFrame(answers, columns=new[1:])
    found = [student.labels[best] for best in answers.argmax(axis=1)]
    columns = [table.reset_index(drop=True), pd.Series(found, name=new[0]), shares]
    pd.concat(columns, axis=1).to_csv(out, index=False)
    rate = len(table) / seconds
    typer.echo(f"{out}: {len(table):,} texts, {rate:,.0f} texts/s")
