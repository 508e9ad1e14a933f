"""What the notebooks of the tagging part show: small tables made from the artifacts of a run, or of
several.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from seqeval.metrics.sequence_labeling import get_entities

from gdlib.compare import tables
from gdlib.compare.results import Results
from gdlib.compare.scores import ENTITY_F1
from gdlib.compare.tables import TEACHER, Comparison
from gdlib.studies.shared.compare import OPENINGS, by_size, in_sentences
from gdlib.studies.tagging.study import TaggingStudy
from gdlib.studies.tagging.trials import first_trial

ALONE, LONGER = "D0", ", as long as "
COMPARISON = Comparison(
    ENTITY_F1,
    questions=(
        ("D1", ALONE),
        ("D2", "D1"),
        ("D3.2", "D3.1"),
        ("D4.2", "D4.1"),
        ("D4.2", "D1"),
        ("D4.2", ALONE),
        ("D1", "hard"),
    ),
    means=("embedding_dim", "hidden_dim", "size", "parameters", "steps"),
    against={"minus teacher": TEACHER},
    resamples=tables.RESAMPLES,
)
"""What the paper's table of strategies asks; :func:`answers` sets the longest strategy against
others as long beside it."""


def about(study: TaggingStudy) -> str:
    """The corpus in words; says silver where it is."""
    corpus = study.corpus
    name = "silver text made from CLDR names" if corpus.silver else corpus.name
    return f"{name}, {len(corpus.languages)} languages"


def examples(study: TaggingStudy) -> pd.DataFrame:
    """The first tagged sentence of each language, its entities in brackets: language, sentence."""
    train = study.splits.train
    tags, first = study.named(train.tags), map(train.languages.index, study.corpus.languages)
    rows = [(train.languages[i], marked(train.tokens[i], tags[i])) for i in first]
    return pd.DataFrame(rows, columns=["language", "sentence"])


def marked(tokens: Sequence[str], tags: Sequence[str]) -> str:
    """``I met [Anna PER] in [New York LOC]``"""
    words = list(tokens)
    for kind, start, end in get_entities(list(tags)):
        words[start] = f"[{words[start]}"
        words[end] += f" {kind}]"
    return " ".join(words)


def cuts(study: TaggingStudy) -> pd.DataFrame:
    """What ``max_length`` did: part, sentences, pieces (mean), sentences cut, tokens without a
    piece (they count as O).
    """
    rows = []
    for name, encoded in study.encoded.items():
        lost = sum(place < 0 for row in encoded.first for place in row)
        pieces = sum(map(len, encoded.pieces)) / max(1, len(encoded.pieces))
        rows.append((name, len(encoded.pieces), pieces, encoded.cut, lost))
    columns = ["part", "sentences", "pieces", "sentences cut", "tokens lost"]
    return pd.DataFrame(rows, columns=columns)


def by_language(counts: np.ndarray, languages: Sequence[str]) -> pd.DataFrame:
    """F1 of every language.

    *Shape:* entity counts ``[models, sentences, 3]`` -> a row per model, a column per language.
    """
    names, columns = np.asarray(languages), {}
    for language in dict.fromkeys(languages):
        chosen = names == language
        columns[language] = ENTITY_F1(counts[:, chosen], {"language": names[chosen]})
    return pd.DataFrame(columns)


def teacher_f1(study: TaggingStudy) -> pd.DataFrame:
    """The teacher's F1 by language, on the held-out and on the test part."""
    scores = {}
    for name in ("validation", "test"):
        counts = study.counts(study.teacher_tags(name), name)
        scores[name] = by_language(counts[None], study.splits.parts[name].languages).iloc[0]
    table = pd.DataFrame(scores).loc[list(study.corpus.languages)]
    return table.reset_index(names="language")


def mistakes(study: TaggingStudy, number: int = 8) -> pd.DataFrame:
    """Test sentences in which the teacher finds other entities than the gold ones: language, gold,
    teacher.
    """
    test = study.splits.test
    gold, predicted = study.named(test.tags), study.named(study.teacher_tags("test"))
    pairs = enumerate(zip(gold, predicted))
    wrong = [i for i, pair in pairs if len({frozenset(get_entities(tags)) for tags in pair}) > 1]
    rows = [
        (test.languages[i], *(marked(test.tokens[i], tags[i]) for tags in (gold, predicted)))
        for i in wrong[:: max(1, len(wrong) // number)][:number]
    ]
    return pd.DataFrame(rows, columns=["language", "gold", "teacher"])


# ---- over seeds


def overview(results: Results) -> pd.DataFrame:
    """Every arm with its intervals: :meth:`Comparison.overview`, ``strategy``, ``units`` (how many
    were trained) and ``sd`` (of F1 over languages, as the paper gives it).
    """
    arms = results.table.groupby("arm", sort=False)
    spread = languages(results, list(arms.groups)).groupby("arm")["value"].std(ddof=0)
    more = pd.DataFrame({"strategy": arms["strategy"].first(), "units": arms.size(), "sd": spread})
    return COMPARISON.overview(results).merge(more, left_on="arm", right_index=True)


def languages(results: Results, arms: Sequence[str]) -> pd.DataFrame:
    """F1 by language, mean over models: language, arm, value; ``low`` and ``high`` are its lowest
    and its highest model.
    """
    scores = by_language(results.outputs, results.items["language"])
    scores = scores.assign(arm=results.table["arm"]).melt("arm", var_name="language")
    of_arms = scores.groupby(["arm", "language"], sort=False)["value"]
    table = of_arms.agg(value="mean", low="min", high="max").reset_index()
    return pd.concat([table[table["arm"] == arm] for arm in arms], ignore_index=True)


def strategies(overview: pd.DataFrame) -> pd.DataFrame:
    """Of an overview the strategies on all transfer sentences, also those given more steps, and the
    teacher.
    """
    as_named = overview["arm"] == overview["strategy"]
    return overview[as_named | overview["arm"].str.contains(LONGER)]


def answers(results: Results) -> pd.DataFrame:
    """The differences that were asked for, also of the longest strategy against others as long."""
    longer = [arm for arm in dict.fromkeys(results.table["arm"]) if LONGER in arm]
    as_long = [(arm.partition(LONGER)[2], arm) for arm in longer]
    return COMPARISON.differences(results, (*COMPARISON.questions, *as_long))


def abstract(study: TaggingStudy, overview: pd.DataFrame, answers: pd.DataFrame) -> str:
    """What the comparison found, in sentences: of the main strategy, then of its parts."""
    settings, rows = study.settings, overview.set_index("arm")
    main = rows.loc[settings.main_strategy]
    lead = (
        f"On {about(study)}, with {settings.labels_per_language} tagged sentences per language, a "
        f"BiLSTM of {main['parameters'] / 1e6:.1f} million parameters that is taught by "
        f"{settings.main_strategy}"
    )
    return in_sentences(lead, main, rows.loc[TEACHER], answers, OPENINGS, "an entity F1")


def over_labels(study: TaggingStudy) -> pd.DataFrame:
    """F1 by tagged sentences per language (``size``) of D0, the main strategy and the teacher."""
    table = study.kept(COMPARISON.sweep, by_size(study, "labels_per_language"))
    return table[table["arm"].isin([ALONE, study.settings.main_strategy, TEACHER])]


def compression(results: Results, main: str) -> pd.DataFrame:
    """Every size of the main strategy with its first student seed, and the teacher: size,
    parameters, times fewer, value (F1), retention.
    """
    table, seeds = results.table, results.table["student_seed"]
    is_teacher, first = table["arm"] == TEACHER, seeds == seeds[seeds >= 0].min()
    chosen = table[is_teacher | first & table["arm"].str.fullmatch(rf"{main}( \d+x\d+)?")]
    dimensions = chosen["embedding_dim"].astype(str) + "x" + chosen["hidden_dim"].astype(str)
    size = dimensions.mask(is_teacher, TEACHER).rename("size")
    means = chosen.groupby(size, sort=False)[["parameters", "f1"]].mean()
    teacher = means.loc[TEACHER]
    means["times fewer"] = teacher["parameters"] / means["parameters"]
    means["retention"] = means["f1"] / (teacher["f1"] or float("nan"))
    return means.sort_values("parameters").reset_index().rename(columns={"f1": "value"})


def costs(study: TaggingStudy) -> pd.DataFrame:
    """Times of the teacher and of every size of student, in one run: size, batch, p50, p95 (ms),
    times faster.
    """
    s, texts = study.settings, study.splits.test.texts
    sizes = dict.fromkeys([f"{s.embedding_dim}x{s.hidden_dim}", *s.grid])
    trials = {size: first_trial(s, s.main_strategy, size) for size in sizes}
    queries = [texts[i * len(texts) // s.queries] for i in range(s.queries)]  # all languages alike
    return study.costs(trials, queries)[1].rename(columns={"name": "size"})
