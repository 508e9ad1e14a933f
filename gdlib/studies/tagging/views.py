"""What the notebooks of the tagging part show: small tables made from the artifacts of a run, or of
several.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from seqeval.metrics.sequence_labeling import get_entities

from gdlib.compare import tables
from gdlib.compare.results import Results
from gdlib.compare.scores import ENTITY_F1
from gdlib.compare.tables import TEACHER, Comparison
from gdlib.networks import costs as cost
from gdlib.networks import students
from gdlib.studies.shared.compare import by_size
from gdlib.studies.tagging.study import TaggingStudy

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
    languages = f"{len(study.corpus.languages)} languages"
    return (
        f"silver text made from CLDR names, {languages}"
        if study.corpus.silver
        else f"{study.corpus.name}, {languages}"
    )


def examples(study: TaggingStudy) -> pd.DataFrame:
    """The first tagged sentence of each language, its entities in brackets: language, sentence."""
    part, rows = study.splits.train, []
    for language in study.corpus.languages:
        i = part.languages.index(language)
        rows.append(
            {
                "language": language,
                "sentence": marked(
                    part.tokens[i], [study.splits.tags[tag] for tag in part.tags[i]]
                ),
            }
        )
    return pd.DataFrame(rows)


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
        rows.append(
            {
                "part": name,
                "sentences": len(encoded.pieces),
                "pieces": pieces,
                "sentences cut": encoded.cut,
                "tokens lost": lost,
            }
        )
    return pd.DataFrame(rows)


def history(study: TaggingStudy) -> pd.DataFrame:
    """The learning curve of the teacher: step, train_loss, held_out."""
    looks = study.trained_tagger().json("history.json")
    return pd.DataFrame({name: looks[name] for name in ("step", "train_loss", "held_out")})


def by_language(counts: np.ndarray, languages: Sequence[str]) -> pd.DataFrame:
    """F1 of every language.

    *Shape:* entity counts ``[models, sentences, 3]`` -> a row per model, a column per language.
    """
    spoken = np.asarray(languages)
    return pd.DataFrame(
        {
            language: ENTITY_F1(
                counts[:, spoken == language], {"language": spoken[spoken == language]}
            )
            for language in dict.fromkeys(languages)
        }
    )


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
    part, said, rows = study.splits.test, study.named(study.teacher_tags("test")), []
    gold = study.named(part.tags)
    wrong = [
        i for i in range(len(part)) if set(get_entities(gold[i])) != set(get_entities(said[i]))
    ]
    for i in wrong[:: max(1, len(wrong) // number)][:number]:
        rows.append(
            {
                "language": part.languages[i],
                "gold": marked(part.tokens[i], gold[i]),
                "teacher": marked(part.tokens[i], said[i]),
            }
        )
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
    scores = by_language(results.outputs, results.items["language"]).rename_axis(columns="language")
    of_arms = scores.stack().rename("f1").reset_index(level="language")
    of_arms = of_arms.join(results.table["arm"]).groupby(["arm", "language"], sort=False)["f1"]
    table = of_arms.agg(value="mean", low="min", high="max").reset_index()
    return pd.concat([table[table["arm"] == arm] for arm in arms], ignore_index=True)


def strategies(overview: pd.DataFrame) -> pd.DataFrame:
    """Of an overview the strategies on all transfer sentences, also those given more steps, and the
    teacher.
    """
    return overview[
        (overview["arm"] == overview["strategy"]) | overview["arm"].str.contains(LONGER)
    ]


def traces(study: TaggingStudy, names: Sequence[str]) -> pd.DataFrame:
    """The traces of some strategies' first students, of those that were run."""
    run = [name for name in names if name in study.settings.strategies]
    return (
        pd.concat([study.trace(name).assign(arm=name) for name in run]) if run else pd.DataFrame()
    )


def answers(results: Results) -> pd.DataFrame:
    """The differences that were asked for, also of the longest strategy against others as long."""
    longer = [arm for arm in dict.fromkeys(results.table["arm"]) if LONGER in arm]
    as_long = [(arm.partition(LONGER)[2], arm) for arm in longer]
    return COMPARISON.differences(results, (*COMPARISON.questions, *as_long))


def transfer_curve(overview: pd.DataFrame, main: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """F1 of the main strategy by transfer sentences, and the lines to read it against (D0,
    teacher).
    """
    part = overview[overview["arm"].str.fullmatch(rf"{main}( /\d+)?")].assign(arm=main)
    return part, overview[overview["arm"].isin([ALONE, TEACHER])]


def over_labels(study: TaggingStudy) -> pd.DataFrame:
    """F1 by tagged sentences per language (``size``) of D0, the main strategy and the teacher."""
    table = COMPARISON.sweep(by_size(study, "labels_per_language"))
    return table[table["arm"].isin([ALONE, study.settings.main_strategy, TEACHER])]


def compression(results: Results, main: str) -> pd.DataFrame:
    """Every size of the main strategy with its first student seed, and the teacher: size,
    parameters, times fewer, value (F1), retention.
    """
    table = results.table
    first = table.loc[table["student_seed"] >= 0, "student_seed"].min()
    of_main = table["arm"].str.fullmatch(rf"{main}( \d+x\d+)?") & (table["student_seed"] == first)
    chosen = table[(table["arm"] == TEACHER) | of_main]
    name = chosen["embedding_dim"].astype(str) + "x" + chosen["hidden_dim"].astype(str)
    name = name.where(chosen["arm"] != TEACHER, TEACHER)
    means = chosen.assign(size=name).groupby("size", sort=False)[["parameters", "f1"]].mean()
    teacher = means.loc[TEACHER]
    means["times fewer"] = teacher["parameters"] / means["parameters"]
    means["retention"] = means["f1"] / (teacher["f1"] or float("nan"))
    return means.sort_values("parameters").reset_index().rename(columns={"f1": "value"})


def costs(study: TaggingStudy) -> pd.DataFrame:
    """Times of the teacher and of every size of student, in one run, by the paper's protocol
    (queries of 32 pieces, one thread): size, batch, p50, p95 (ms), times faster."""
    s, texts = study.settings, study.splits.test.texts
    wanted = dict.fromkeys([f"{s.embedding_dim}x{s.hidden_dim}", *s.grid])
    networks = {size: study.student(size) for size in wanted}
    queries = [texts[i * len(texts) // s.queries] for i in range(s.queries)]  # all languages alike
    _, times = cost.costs(study.teacher, study.vocabulary, networks, queries, repeats=1, length=32)
    return times.rename(columns={"name": "size"})


def headline(overview: pd.DataFrame, main: str) -> Iterator[tuple[str, float, str]]:
    """The key numbers: teacher, D0 and the main strategy, its retention and compression."""
    numbers = {"teacher F1": TEACHER} | {f"{arm} F1": arm for arm in (ALONE, main)}
    return tables.headline(overview, main, numbers)


def embeddings_share(study: TaggingStudy) -> float:
    """Share of the teacher's parameters that are word-piece embeddings."""
    return study.teacher.embedding.numel() / students.parameters(study.teacher.network)
