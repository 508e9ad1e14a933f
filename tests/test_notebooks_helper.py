"""What every notebook does first: settings from its variables, threads, the table of settings."""

import asyncio
from pathlib import Path
from queue import Empty

import papermill
import pytest
import torch
from jupyter_client.channels import AsyncZMQSocketChannel

from gdlib.core.errors import UnknownName
from gdlib.core.settings import build, plain
from gdlib.networks.costs import threads
from gdlib.run import kernel, notebook, studies
from gdlib.run.notebook import open_stage, open_study, settings_table, start
from gdlib.studies.generation.settings import Settings


def test_threads_are_those_asked_for(monkeypatch):
    with threads(1):
        monkeypatch.setenv("GDLIB_THREADS", "3")
        start()
        assert torch.get_num_threads() == 3
        monkeypatch.delenv("GDLIB_THREADS")
        monkeypatch.setattr("psutil.cpu_count", lambda logical: 1)  # a processor of one core
        start()
        assert torch.get_num_threads() == 1


def test_settings_table_shows_the_stage_and_what_was_moved():
    settings = build(
        Settings, {"teacher_lr": 0.5, "corpus": "<script>alert(1)</script>", "sample_divisors": [2]}
    )
    html = settings_table(settings, "teacher").to_html()
    shown = settings_table(settings, "teacher").data.set_index("setting")["value"]
    assert {"corpus", "teacher", "teacher_lr", "max_length", "sample_divisors"} <= set(shown.index)
    assert (
        "num_samples" not in shown.index and "seed" not in shown.index
    )  # neither of the stage nor moved
    assert shown["teacher_lr"] == "0.5" and shown["sample_divisors"] == "(2,)"
    assert "<script>" not in html and "&lt;script&gt;" in html
    bold = html.count("font-weight: bold")
    assert bold and "font-weight: bold" not in settings_table(Settings(), "teacher").to_html()


@pytest.mark.parametrize("study", studies.names())
def test_a_notebook_opens_its_study_with_its_variables_in_one_call(study, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "display", shown.append)
    plan = studies.plan_of(study)
    stage = plan.stages[-1].name
    variables = {"store": tmp_path / "store", "seed": 3, "seeds": [3, 4], "other": "ignored"}
    opened, out = open_stage(study, stage, variables)
    assert opened.plan is plan and plain(opened.settings) == plan.settings(seed=3, seeds=(3, 4))
    assert opened.store.root == tmp_path / "store"
    assert out.recipe == plan.products_recipe(stage, plain(opened.settings))
    assert "(3, 4)" in set(shown[0].data["value"])


def test_an_unknown_stage_is_named_with_the_choices(tmp_path):
    with pytest.raises(UnknownName, match=r'"studens"; did you mean "students"\? known: corpus, '):
        open_stage("generation", "studens", {"store": tmp_path})
    with pytest.raises(UnknownName, match='unknown study "shared"; known: generation, lexical, '):
        open_stage("shared", "corpus", {"store": tmp_path})


TEACHER = Path("notebooks/1_generation_distillation/2_teacher.ipynb")


def test_papermill_given_a_misspelt_knob_ends_in_one_line(tmp_path, monkeypatch):
    root = Path(__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", str(root))
    with pytest.raises(papermill.PapermillExecutionError) as error:
        papermill.execute_notebook(
            root / TEACHER,
            tmp_path / "out.ipynb",
            {"store": str(tmp_path / "store"), "min_confidence": 0.5, "teacher_lrr": 1e-5},
            progress_bar=False,
        )
    start = 'unknown parameter "teacher_lrr"; did you mean "teacher_lr"? known: corpus, '
    assert error.value.ename == "UnknownName" and error.value.evalue.startswith(start)
    assert "\n" not in error.value.evalue and not (tmp_path / "store").exists()


def test_a_notebook_has_parameters_of_its_own_and_variables_of_any_name(tmp_path):
    own = "corpus = 'bbc'\nstore = 'runs/store'\nlive: bool = True"
    given = "# Parameters\nlive = False\nseed = 3\nstore = 'elsewhere'\n"
    cells = ["", own, given, "from x import y\nrun = f'{corpus}'", given]
    variables = {"store": tmp_path, "seed": 3, "run": "bbc", "teacher_lrr": 1, "In": cells}
    assert open_study("generation", variables).settings.seed == 3
    cells.append("# Parameters\nlvie = False\n")
    with pytest.raises(UnknownName, match=r'^unknown parameter "lvie"; did you mean "live"\?'):
        open_study("generation", variables)


def test_a_reply_whose_arrival_was_not_noticed_is_looked_for_again(monkeypatch):
    """nbclient writes widgets' states into the socket that it waits for, and a wait without a
    limit may then never end.
    """
    waited = []

    async def get_msg(_channel, timeout=None):
        waited.append(timeout)
        if len(waited) < 3:
            raise Empty
        return {"content": "ok"}

    monkeypatch.setattr(AsyncZMQSocketChannel, "get_msg", get_msg)
    family = kernel._manager({})().client().shell_channel_class
    channel = object.__new__(family)
    assert asyncio.run(channel.get_msg()) == {"content": "ok"} and waited == [1.0, 1.0, 1.0]
    assert asyncio.run(channel.get_msg(timeout=7)) == {"content": "ok"} and waited[-1] == 7
