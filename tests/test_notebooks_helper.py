"""What every notebook does first: threads, and the table of settings."""

import torch

from gdlib.compare.metrics import threads
from gdlib.core.settings import build
from gdlib.run.notebook import settings_table, start
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
