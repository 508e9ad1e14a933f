"""gdlib: how close small language models come to big ones when labels are scarce.

A thin library under a study that is driven by notebooks. Its rooms, from the top down; a room
imports only from rooms below it, which ``lint-imports`` checks (``pyproject.toml``)::

    run        what a person starts: command line, pipeline, engines, report
    explorer   the samples, to look at
    studies    one package a study: its knobs, arms, artifacts and questions
               (studies.shared: what two of them share)
    charts     figures, from tables
    compare    scores, intervals and tables, from arrays
    networks   teachers, generators, students, taggers: what they read and what they answer
    learn      losses, the training loop, schedules, combining teachers: tensors alone
    sources    texts and pretrained networks, as they are found on this machine
    core       settings, store, artifacts, messages
"""

__version__ = "0.1.0"
