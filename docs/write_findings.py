"""Writes docs/findings.md from the results of two benchmarks: sharing_findings.py and task_relatedness.py.

    python docs/write_findings.py

Every number and every word of a verdict on the page stands in, or follows from, these results.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "findings.md"
STUDIES = ROOT / "benchmarks" / "results" / "sharing_findings.json"
RELATEDNESS = ROOT / "benchmarks" / "results" / "task_relatedness.json"

OPENING = """
What came out when ways of sharing were compared, all tuned alike. This page is written by `docs/write_findings.py` from
`benchmarks/results/`; [choosing.md](choosing.md) says what to make of it, and [verdict.md](verdict.md) how a difference
is judged: seeds and rows both count, and where neither *better* nor *worse* nor *practically equal* is shown, the
answer is *cannot tell*.
"""

ON_STUDIES = """
Every scheme has its default settings and is compared with `hard`, one trunk for all, on the mean skill over tasks
(0: the best constant, 1: perfect). The same learning rates ({rates}) were tried for each on validation rows under one
seed; then all were trained with the same {seeds} seeds, and the test rows opened once, when all was trained. Intervals
are of 95 % for a scheme alone; the words hold for all schemes of a table together (Holm).
"""

DATA = {
    "census": "Census-Income (KDD): income over 50,000 $ and never married.",
    "census with college": "The same with a third task, a college degree (education is no input).",
    "kuairand": "KuaiRand: seven reactions to a short video, tested on the last fifth in time; test rows of a user "
    "belong together.",
    "fashion pairs": "Two garments of Fashion-MNIST in one picture, laid over each other.",
}
METRICS = {"roc_auc": "ROC-AUC"}

NOT_SHOWN = """
It does not show which scheme is best for other data, nor for these with all their rows: nets and rows are small, so
that {runs} trainings fit on one core, epochs are few, and nothing but the learning rate was tuned. *Cannot tell* does
not say that there is no difference: one below the last column may well be there. Schemes differ in parameters and time,
and no table holds these equal. Not among them: {left_out}.
"""

ON_RELATEDNESS = """
Two made-up regression tasks whose weights have a given cosine, as in the paper on MMoE (Ma et al., KDD 2018), with the
sinusoids of the generator that its authors published. Each task alone is equally hard at every cosine: `independent` is
the control, and its slope should be 0. All schemes have about as many parameters, and see the same rows and seeds
({seeds} of them); each has its learning rate chosen on validation rows of other seeds. Numbers are
errors on new rows as shares of the targets' variance, means over both tasks and all seeds.
"""

RELATEDNESS_NOT_SHOWN = """
It does not show what real tasks do: their likeness is no one number, and here both tasks read the same rows without a
label missing. The nets are the paper's, with a single hidden layer; frequencies and numbers of rows are not in the
paper.
"""

#: Of Holm's adjusted p values.
LEVEL = 0.05
NOT_RUN = "Not run yet: `python benchmarks/{name}.py`."


def wrapped(text: str) -> str:
    """A paragraph in lines of 120 characters."""
    return fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Markdown; all but the first column to the right."""
    ruler = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ruler, *lines])


def signed(value: float, interval: Sequence[float]) -> str:
    """A difference with its interval."""
    return f"{value:+.4f} [{interval[0]:+.4f}, {interval[1]:+.4f}]".replace("-", "−")


def listed(names: Sequence[str]) -> str:
    """Names as words: a, b and c."""
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)


def counted(words: Counter[str]) -> str:
    """How often each word was given."""
    order = ("better", "worse", "practically equal", "cannot tell", "no verdict")
    return ", ".join(f"*{word}* {words[word]}" for word in order if words[word])


def studies(result: Mapping[str, Any]) -> list[str]:
    """The section on real data."""
    rows = result["rows"]
    words = Counter(row["word"] for row in rows if "word" in row)
    facts = result["studies"]
    silent = [n for n in facts if not any(r.get("word") in ("better", "worse") for r in rows if r["data"] == n)]
    introduction = ON_STUDIES.format(
        rates=", ".join(f"{rate:g}" for rate in result["grid"]["learning_rate"]),
        seeds=max(fact["seeds"] for fact in facts.values()),
    )
    found = f"**Found:** of {words.total()} comparisons with `hard` on {len(facts)} data sets: {counted(words)}."
    if silent:
        found += f" On {listed(silent)} no scheme is shown to be better or worse than `hard`."
    parts = ["## Which way of sharing, on real data", wrapped(introduction), wrapped(found)]
    for name, fact in facts.items():
        parts += [f"### {name}", *data_set(name, fact, [row for row in rows if row["data"] == name], result)]
    left_out = "; ".join(f"`{name}` ({reason})" for name, reason in result["left_out"].items())
    runs = sum(fact["runs"] for fact in facts.values())
    return [*parts, "### What this does not show", wrapped(NOT_SHOWN.format(runs=f"{runs:,}", left_out=left_out))]


def data_set(
    name: str, fact: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any]
) -> list[str]:
    """What a study says: its rows, a sentence, its table, its own verdict."""
    num_rows = fact["tasks"][0]["rows"]
    groups = f" ({fact['groups']:,} groups)" if fact["groups"] else ""
    metrics = sorted({METRICS.get(task["metric"], task["metric"]) for task in fact["tasks"]})
    about = (
        f"{DATA[name]} {num_rows['train']:,} rows to train on, {num_rows['validation']:,} to choose by, "
        f"{num_rows['test']:,} to judge by{groups}; {result['settings'][name]['epochs']} epochs, {fact['seeds']} "
        f"seeds. "
        f"Tasks in {' and '.join(metrics)}; parameters and time are those of `hard` times the number."
    )
    verdict = (
        f"The scheme that was best on validation rows, `{fact['chosen']}`, beside single-task twins: {fact['headline']}"
    )
    names = [task["name"] for task in fact["tasks"]]
    return [wrapped(about), wrapped(sentence(rows)), study_table(names, rows), wrapped(verdict)]


def sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """Who is better and who worse than `hard`; or that nobody is shown to be."""
    by_word = {word: [row["scheme"] for row in rows if row.get("word") == word] for word in ("better", "worse")}
    found = "; ".join(f"{word} than `hard`: {listed(names)}" for word, names in by_word.items() if names)
    others = [row for row in rows if "word" in row]
    rest = counted(Counter(row["word"] for row in others if row["word"] not in by_word))
    if found:
        return f"**{found[0].upper()}{found[1:]}.**" + (f" Of the others: {rest}." if rest else "")
    least = median(row["minimum_detectable_effect"] for row in others)
    return (
        f"**No scheme is shown to be better or worse than `hard`** ({rest}). A difference in skill of {least:.3f} (the "
        "median over schemes) would mostly have been found."
    )


def study_table(tasks: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """A line a scheme."""
    head = ["scheme", *tasks, "skill − hard's, 95 %", "", "parameters", "time", "would be found from"]
    lines = []
    for row in rows:
        values = [f"{row['tasks'][task]:.4f}" for task in tasks]
        costs = [f"{row['parameters_times_hard']:.2g} ×", f"{row['seconds_times_hard']:.2g} ×"]
        is_judged = "word" in row
        compared = [signed(row["difference"], row["interval"]), row["word"]] if is_judged else ["–", ""]
        found_from = f"{row['minimum_detectable_effect']:.3f}" if is_judged else "–"
        lines.append([f"`{row['scheme']}`", *values, *compared, *costs, found_from])
    return table(head, lines)


def relatedness(result: Mapping[str, Any]) -> list[str]:
    """The section on made-up tasks of a given likeness."""
    seeds = max(row["seeds"] for row in result["rows"])
    parts = [
        "## What unlike tasks cost",
        wrapped(ON_RELATEDNESS.format(seeds=seeds)),
        "![error against the cosine of two tasks](task-relatedness.svg)",
    ]
    for name in dict.fromkeys(row["setting"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["setting"] == name]
        tests = [test for test in result["tests"] if test["setting"] == name]
        parts += [
            f"### {name[0].upper()}{name[1:]}",
            wrapped(slope_sentence(tests)),
            wrapped(order(rows)),
            relatedness_table(rows, tests),
        ]
    return [*parts, "### What this does not show", wrapped(RELATEDNESS_NOT_SHOWN)]


def slope_sentence(tests: Sequence[Mapping[str, Any]]) -> str:
    """Whose error rises as tasks grow unlike, and whether hard sharing's rises more than another's."""
    own = [test for test in tests if test["what"] == "slope"]
    kinds = {"rises": [], "falls": [], "": []}
    for test in own:
        kinds["" if test["adjusted_p"] > LEVEL else "rises" if test["value"] < 0 else "falls"].append(test["scheme"])
    said = [
        f"the error of {listed(kinds[kind])} {kind} as the cosine falls" for kind in ("rises", "falls") if kinds[kind]
    ]
    said += [f"for {listed(kinds[''])} no slope is shown"] if kinds[""] else []
    for test in tests:
        if test["what"] == "slope" or test["scheme"] == "independent":
            continue
        size = f"(a difference of {signed(test['value'], test['interval'])})"
        if test["adjusted_p"] > LEVEL:
            said.append(f"that `hard` loses more than `{test['scheme']}` is not shown, nor that it loses less {size}")
        else:
            said.append(f"`hard` loses {'more' if test['value'] < 0 else 'less'} than `{test['scheme']}` {size}")
    return f"**Found:** {'; '.join(said)}."


def order(rows: Sequence[Mapping[str, Any]]) -> str:
    """Where a scheme's error lies below or above hard sharing's, each cosine for itself."""
    said = []
    for name in dict.fromkeys(row["scheme"] for row in rows if row["hard_minus_it"]):
        at = {"below": [], "above": []}
        for row in (row for row in rows if row["scheme"] == name):
            low, high = row["hard_minus_it"]["interval"]
            for word, holds in (("below", low > 0), ("above", high < 0)):
                at[word] += [f"{row['cosine']:g}"] if holds else []
        told = [f"{word} at {' and '.join(cosines)}" for word, cosines in at.items() if cosines]
        said.append(f"that of `{name}` {', '.join(told) or 'not told from it at any'}")
    return f"Beside the error of `hard`, by 95 % intervals at each cosine alone: {'; '.join(said)}." if said else ""


def relatedness_table(rows: Sequence[Mapping[str, Any]], tests: Sequence[Mapping[str, Any]]) -> str:
    """Errors by scheme and cosine, then the slope."""
    cosines = list(dict.fromkeys(row["cosine"] for row in rows))
    slopes = {test["scheme"]: test for test in tests if test["what"] == "slope"}
    lines = []
    for name in dict.fromkeys(row["scheme"] for row in rows):
        errors = {row["cosine"]: row["error"] for row in rows if row["scheme"] == name}
        slope = slopes[name]
        cells = [f"{errors[cosine]:.4f}" for cosine in cosines]
        lines.append([f"`{name}`", *cells, signed(slope["value"], slope["interval"]), f"{slope['adjusted_p']:.2g}"])
    head = ["scheme", *(f"cosine {cosine:g}" for cosine in cosines), "slope, 95 %", "p (Holm)"]
    return table(head, lines)


def page(found: Mapping[str, Any] | None, related: Mapping[str, Any] | None) -> str:
    """The whole page; a benchmark without results is said to be so."""
    parts = ["# Findings", wrapped(OPENING)]
    parts += studies(found) if found else ["## Which way of sharing, on real data", NOT_RUN.format(name=STUDIES.stem)]
    parts += relatedness(related) if related else ["## What unlike tasks cost", NOT_RUN.format(name=RELATEDNESS.stem)]
    return "\n\n".join(part for part in parts if part) + "\n"


def read(path: Path) -> dict[str, Any] | None:
    """The results, where there are some."""
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return found


if __name__ == "__main__":
    PAGE.write_text(page(read(STUDIES), read(RELATEDNESS)), encoding="utf-8")
