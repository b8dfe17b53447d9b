"""How much does each way of sharing lose when two tasks grow less alike?

The made-up data of the paper on MMoE (Ma et al., KDD 2018): y_k = w_k·x + Σ_i sin(α_i w_k·x + β_i) + noise for two
tasks, whose weights w_k have a given cosine. Each task alone is equally hard at every cosine, so that `independent`
should show no slope: it is the control. All schemes see the same rows and seeds and have as many parameters as eight
experts of 16 units; each has its learning rate chosen on validation rows of other seeds. Errors are shares of the
target's variance on new rows, at the step that was best on validation rows. The slope of the error against the cosine
is a seed's; its test is over seeds, with Holm over schemes.

    python benchmarks/task_relatedness.py [--seeds 20] [--schemes hard mmoe]
    python benchmarks/task_relatedness.py --figure   # draws docs/task-relatedness.svg of the results there are
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import record
from polytask.sharing import SHARINGS
from polytask.studies import Part, half_width, holm_adjusted, p_value
from related_tasks import COSINES, SCHEMES, Nets, Setting, Source, units_of

RATES = (0.001, 0.003, 0.01, 0.03)
#: With the paper's generator as its authors published it: ten sinusoids.
SETTINGS = (
    Setting(name="new rows at every step", sinusoids=10, rows=None, steps=1500),
    Setting(name="10,000 rows", sinusoids=10, rows=10_000, steps=1500),
)
#: How often nets are judged, and on how many rows a seed.
CHECKS, VALIDATION_ROWS, TEST_ROWS = 6, 500, 1000
#: Seeds of the choice of learning rates are none of those that are reported.
TUNING_SEEDS, FIRST_TUNING_SEED = 3, 1000
LEVEL = 0.05
COLOURS = {"independent": "#7a7a7a", "hard": "#0072b2", "mmoe": "#d55e00", "ple": "#009e73"}
ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "task_relatedness.json"
FIGURE = ROOT / "docs" / "task-relatedness.svg"


def train(scheme: str, setting: Setting, seeds: Sequence[int], rates: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Errors on validation and on test rows, means of both tasks, `[seeds, cosines, rates]`.

    Both are those of the step, among `CHECKS`, that was best on validation rows.

    Args:
        scheme: its name.
        setting: what is learnt.
        seeds: of weights, rows and models.
        rates: learning rates to try at each cosine `[cosines, rates]`.
    """
    nets, source = Nets(scheme, seeds, rates), Source(setting, seeds)
    validation, test = source.draw(VALIDATION_ROWS), source.draw(TEST_ROWS)
    shape = len(seeds), len(COSINES), nets.num_rates
    best = [torch.full(shape, np.inf), torch.full(shape, np.inf)]
    for number, batch in enumerate(source.batches(), 1):
        nets.step(batch)
        if number % max(1, setting.steps // CHECKS) == 0:
            with torch.no_grad():
                now = [nets.errors(rows).mean(dim=1).view(shape) for rows in (validation, test)]
            is_better = now[0] < best[0]
            best = [torch.where(is_better, new, old) for new, old in zip(now, best, strict=True)]
    return best[0].numpy(), best[1].numpy()


def measure(scheme: str, setting: Setting, num_seeds: int) -> tuple[float, np.ndarray]:
    """The learning rate that was best on validation rows, all cosines together; test errors `[seeds, cosines]`."""
    tuning = range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + min(TUNING_SEEDS, num_seeds))
    tried = train(scheme, setting, tuning, torch.tensor(RATES).expand(len(COSINES), -1))[0]
    rate = RATES[int(tried.mean(axis=(0, 1)).argmin())]
    return rate, train(scheme, setting, range(num_seeds), torch.full((len(COSINES), 1), rate))[1][..., 0]


def estimate(values: np.ndarray) -> dict[str, Any]:
    """The mean over seeds, its 95 % interval by Student's t, and the p value of its being 0."""
    parts = [Part(float(values.var(ddof=1)) / len(values), len(values) - 1)]
    mean, half = float(values.mean()), float(half_width(parts, LEVEL))
    return {"value": mean, "interval": [mean - half, mean + half], "p": p_value(mean, parts)}


def slopes(errors: np.ndarray) -> np.ndarray:
    """Of every seed's errors `[seeds, cosines]` against the cosine, by least squares: below 0 if unlike tasks cost."""
    centred = np.array(COSINES) - np.mean(COSINES)
    return errors @ centred / (centred @ centred)


def tests(errors: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Every scheme's slope, and hard sharing's minus it on the same seeds; Holm over all of one setting."""
    found = [{"what": "slope", "scheme": name, **estimate(slopes(values))} for name, values in errors.items()]
    if "hard" in errors:
        found += [
            {"what": "slope of hard minus its slope", "scheme": name, **estimate(slopes(errors["hard"] - values))}
            for name, values in errors.items()
            if name != "hard"
        ]
    adjusted = holm_adjusted([test["p"] for test in found])
    return [{**test, "adjusted_p": float(p)} for test, p in zip(found, adjusted, strict=True)]


def rows_of(setting: Setting, errors: Mapping[str, np.ndarray], rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """A row a scheme and cosine: the error, and hard sharing's error minus it on the same seeds."""
    return [
        {
            "setting": setting.name,
            "scheme": name,
            "cosine": cosine,
            "seeds": len(values),
            "units": units_of(name),
            "learning_rate": rates[name],
            "error": estimate(values[:, k])["value"],
            "interval": estimate(values[:, k])["interval"],
            "hard_minus_it": None
            if name == "hard" or "hard" not in errors
            else estimate(errors["hard"][:, k] - values[:, k]),
        }
        for name, values in errors.items()
        for k, cosine in enumerate(COSINES)
    ]


def figure(rows: Sequence[Mapping[str, Any]]) -> str:
    """Errors against the cosine (SVG): a panel a setting, a line a scheme with its 95 % interval."""
    import altair as alt
    import vl_convert

    values = [{**row, "low": row["interval"][0], "high": row["interval"][1]} for row in rows]
    names = [name for name in COLOURS if any(row["scheme"] == name for row in rows)]
    scale = alt.Scale(domain=names, range=[COLOURS[name] for name in names])
    cosine = alt.X("cosine:Q", title="cosine of the two tasks", axis=alt.Axis(values=list(COSINES), format="~g"))
    colour = alt.Color("scheme:N", title=None, scale=scale, legend=alt.Legend(orient="top", symbolOpacity=1))
    title, floating = "error, as a share of the variance", alt.Scale(zero=False)
    error, low = (alt.Y(f"{name}:Q", title=title, scale=floating) for name in ("error", "low"))
    base = alt.Chart()
    bars = base.mark_rule(strokeWidth=1.5).encode(x=cosine, y=low, y2="high:Q", color=colour)
    lines = base.mark_line(point=True, strokeWidth=2).encode(x=cosine, y=error, color=colour)
    panels = (
        (bars + lines)
        .properties(width=250, height=230)
        .facet(
            data=alt.Data(values=values),
            column=alt.Column(
                "setting:N",
                title=None,
                header=alt.Header(labelFontSize=12),
                sort=list(dict.fromkeys(row["setting"] for row in rows)),
            ),
        )
    )
    chart = panels.resolve_scale(y="independent").properties(background="white", padding=12)
    drawn: str = vl_convert.vegalite_to_svg(chart.to_json())
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--schemes", nargs="+", choices=SCHEMES, default=list(SCHEMES))
    parser.add_argument("--steps", type=int, help="fewer or more than the settings say: to try the script")
    parser.add_argument("--figure", action="store_true", help="draw the results that are there, train nothing")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.figure:
        FIGURE.write_text(figure(json.loads(options.out.read_text(encoding="utf-8"))["rows"]), encoding="utf-8")
        return
    torch.set_num_threads(1)
    began = time.time()
    names = [name for name in options.schemes if name in SHARINGS]
    rows, tested = [], []
    for setting in SETTINGS:
        setting = replace(setting, steps=options.steps or setting.steps)
        found = {name: measure(name, setting, options.seeds) for name in names}
        errors = {name: values for name, (_, values) in found.items()}
        rows += rows_of(setting, errors, {name: rates for name, (rates, _) in found.items()})
        tested += [{"setting": setting.name, **test} for test in tests(errors)]
    record.write(
        options.out,
        question=__doc__ or "",
        command=f"python benchmarks/task_relatedness.py --seeds {options.seeds}",
        seconds=time.time() - began,
        rows=rows,
        targets=[],
        tests=tested,
        settings=[asdict(replace(setting, steps=options.steps or setting.steps)) for setting in SETTINGS],
        schemes={name: SCHEMES[name] for name in names},
    )
    for test in tested:
        low, high = test["interval"]
        print(f"{test['setting']}: {test['what']}, {test['scheme']}: {test['value']:+.4f} [{low:+.4f}, {high:+.4f}]")


if __name__ == "__main__":
    main()
