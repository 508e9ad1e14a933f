"""Study 1 over seeds: the questions of its comparison, and what its networks cost."""

from collections.abc import Iterator

import pandas as pd
from markupsafe import Markup

from gdlib.compare import tables
from gdlib.compare.results import Results
from gdlib.core.templates import source, templates
from gdlib.networks import costs as cost
from gdlib.networks import in_page
from gdlib.networks.arms import MAIN_ARM
from gdlib.studies.generation import views
from gdlib.studies.generation.feedback import FEEDBACK
from gdlib.studies.generation.study import GenerationStudy
from gdlib.studies.shared.compare import by_size, in_sentences, of_classifiers
from gdlib.studies.shared.study import Texts

ALONE, REAL, HARD, SCRAPS = "labelled only", "real unlabelled", "hard labels", "scraps"
COMPARISON = of_classifiers(
    ALONE,
    questions=(
        (MAIN_ARM, ALONE),
        (MAIN_ARM, "distilled on labelled"),
        (MAIN_ARM, HARD),
        (MAIN_ARM, SCRAPS),
        (f"generated + {SCRAPS}", MAIN_ARM),
        (FEEDBACK, MAIN_ARM),
        (REAL, MAIN_ARM),
        ("real (generated mix)", MAIN_ARM),
        ("generated + real", REAL),
    ),
)


def headline(study: GenerationStudy, overview: pd.DataFrame) -> Iterator[tuple[str, float, str]]:
    """The key numbers of a corpus: of the teacher, and of the first student that the settings name,
    which is chosen before the test part is read.
    """
    numbers = {"teacher accuracy": "teacher", MAIN_ARM: MAIN_ARM}
    return tables.headline(overview, MAIN_ARM, numbers, study.settings.students[0])


def abstract(study: GenerationStudy, overview: pd.DataFrame, answers: pd.DataFrame) -> str:
    """What the comparison found, in sentences: of the student of :func:`headline`, then the answers
    that are about generated text.
    """
    settings = study.settings
    rows = overview[overview["panel"].isin(["", settings.students[0]])].set_index("arm")
    main, teacher = rows.loc[MAIN_ARM], rows.loc["teacher"]
    none = "labelled texts alone, since **no generated text passed the funnel**,"
    source = "generated texts" if main["size"] else none
    lead = (
        f"On {settings.corpus}, with {settings.labels_per_class} labels per class, a "
        f"{settings.students[0]} of {main['parameters'] / 1e6:.1f} million parameters that learns "
        f"from {source}"
    )
    openings = {
        (MAIN_ARM, "distilled on labelled"): (
            "Against the teacher's labels on the labelled texts alone, generated texts change it"
        ),
        (MAIN_ARM, SCRAPS): "Against as many scraps of the labelled texts they change it",
        (REAL, MAIN_ARM): "As many real texts in their place change it",
    }
    return in_sentences(lead, main, teacher, answers if main["size"] else answers[:0], openings)


def size_curve(arms: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracy by number of generated texts, and the horizontal lines to read it against."""
    curve = arms["arm"].str.fullmatch(rf"generated /\d+|{MAIN_ARM}")
    return arms[curve], arms[arms["arm"].isin([ALONE, REAL, "teacher"])]


def hard_and_soft(results: Results) -> pd.DataFrame:
    """Hard pseudo-labels beside soft ones: panel, hard, soft, and the difference's columns."""
    pairs = COMPARISON.differences(results, [(MAIN_ARM, HARD)], resamples=tables.MANY)
    values = COMPARISON.arms(results).pivot(index="panel", columns="arm", values="value")
    both = values.reindex(columns=[HARD, MAIN_ARM]).rename(columns={HARD: "hard", MAIN_ARM: "soft"})
    return pairs.merge(both, on="panel") if len(pairs) else pairs


def over_labels(study: GenerationStudy) -> pd.DataFrame:
    """Accuracy by labels per class (``size``) and arm, averaged over the students."""
    runs = by_size(study, "labels_per_class")
    table = study.kept(COMPARISON.sweep, runs, pooled=True)
    return table[~table["arm"].str.startswith("generated /") & (table["arm"] != "majority")]


def costs(study: GenerationStudy, texts: int = 128) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sizes and times of the teacher and of every student architecture, on real test texts;
    measured once for the same networks, since another measurement would say the same otherwise.
    """
    networks = {name: study.student(name) for name in study.settings.students}
    some = Texts(study.splits.test.texts[:texts])
    made = [study.trained_teacher(), *(study.shown(name) for name in networks), some]
    return study.kept(cost.costs, study.teacher, study.vocabulary, networks, some, given=made)


def quality(sizes: pd.DataFrame, arms: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of the teacher and of each student's main arm beside its size: a row per network."""
    main = arms[arms["arm"].isin(["teacher", MAIN_ARM])]
    names = main["panel"].where(main["panel"] != "", main["arm"])
    return sizes.merge(main.drop(columns="parameters").assign(name=names), on="name")


def ask_box(study: GenerationStudy) -> str:
    """A part of a page where one types a text, and the first student answers in the page itself:
    that of the main arm, and beside it the one with gold labels alone, where it is among the arms.
    Empty if the page's script knows the student's family or the teacher's tokenizer not.
    """
    settings, tokenizer = study.settings, study.teacher.tokenizer
    arms = [arm for arm in (MAIN_ARM, ALONE) if arm == MAIN_ARM or arm in settings.arms]
    students = {arm: study.packed(arm) for arm in arms}
    known = isinstance(students[MAIN_ARM].student, in_page.FAMILIES)
    if not (known and in_page.can_read(tokenizer)):
        return ""
    return (
        templates(autoescape=True)
        .get_template("student.html.j2")
        .render(
            about=f"{settings.students[0]}, taught on {settings.corpus} with "
            f"{settings.labels_per_class} labels per class.",
            examples=views.tasters(study)["text"].tolist(),
            data=in_page.payload(students, tokenizer, study.class_names, settings.max_length),
            script=Markup(source("student.js")),
        )
    )
