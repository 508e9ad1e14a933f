"""The names of losses and of rules that combine teachers, each with the function that it stands
for; nothing here loads torch.

To add one, write the function and ``add`` its name, here or from outside of the library: it is then
a choice of every knob that takes such a name.
"""

from gdlib.core.registry import Registry

SOFT_LOSSES = Registry("soft loss")
"""``loss(student_logits, teacher_logits, temperature)``, logits ``[batch, classes]`` -> scalar."""
SOFT_LOSSES.add("kl", "gdlib.learn.losses:soft_kl", "KL divergence of softened distributions")
SOFT_LOSSES.add("mse", "gdlib.learn.losses:logit_mse", "squared difference of raw logits")

REPRESENTATION_LOSSES = Registry("representation loss")
"""``loss(projected, teacher_states)``, both ``[batch, width]`` -> scalar."""
REPRESENTATION_LOSSES.add("mse", "torch.nn.functional:mse_loss", "squared difference of states")
REPRESENTATION_LOSSES.add(
    "kl", "gdlib.learn.losses:soft_kl", "KL divergence of the states' softmax"
)

PAIR_LOSSES = Registry("pair loss")
"""``loss(logits, labels, instance, mixture, teacher)``, see :mod:`gdlib.learn.sense_losses`."""
PAIR_LOSSES.add(
    "candidates", "gdlib.learn.sense_losses:candidates_loss", "the candidates of a word together"
)
PAIR_LOSSES.add("pairs", "gdlib.learn.sense_losses:pairs_loss", "every pair by itself")

RULES = Registry("rule")
"""``rule(evidence)`` -> weights of teachers, see :mod:`gdlib.learn.mixtures`."""
RULES.add("mean", "gdlib.learn.mixtures:mean", "all teachers, weighted alike")
RULES.add(
    "confidence", "gdlib.learn.mixtures:confidence", "all teachers, weighted by inverse entropy"
)
RULES.add(
    "gold probability",
    "gdlib.learn.mixtures:gold_probability",
    "all teachers, weighted by the probability given to the hidden piece",
)
RULES.add(
    "best teacher",
    "gdlib.learn.mixtures:best_teacher",
    "at each position the teacher that gives the hidden piece most",
)
RULES.add(
    "gate", "gdlib.learn.mixtures:gate", "all teachers, weighted by a gate learnt on texts apart"
)
SEES_GOLD = ("gold probability", "best teacher")
"""Rules that need the hidden piece, so that they judge no prediction."""
