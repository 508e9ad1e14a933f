"""gdlib: small language models as good as big ones when labels are scarce.

A thin library under a study that is driven by notebooks. A module imports only
from floors below its own::

    5  cli, pipeline, explorer, report      what a person starts or looks at
    4  generation                           one study each: its arms and stages
    3  teacher, generator, samples, students, figures
    2  training, losses, signals, metrics, stats
    1  corpora, splits, wordnet, zoo        data and pretrained networks coming in
    0  store, config, products, errors      artifacts, parameters, messages
"""

__version__ = "0.1.0"
