"""How often does the verdict find a difference where there is none?

Made-up studies whose truth is known: D[s, r] = a_s + b_r + c_sr with mean 0, so every "helps" or "hurts" is false.
A cell is a number of seeds S, of rows n, the seeds' share of the squared standard error (0: rows alone matter, 1:
seeds alone), the variance of c over that of b (the seed-by-row interaction), and normal or t₄ noise in all three.
In every cell the true standard error is 1. Beside Howe's interval stand the two usual ones, on the same draws.

    python benchmarks/verdict_simulation.py [--draws 2000]
    python benchmarks/verdict_simulation.py --figure   # draws docs/verdict-simulation.svg of the results there are
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from polytask import __version__
from polytask.studies import Part, half_width, minimum_detectable_effect

SEEDS = (3, 5, 10)
ROWS = (500, 5000)
SHARES = (0.0, 0.1, 0.3, 0.5, 0.8, 1.0)
INTERACTIONS = (0, 2, 8)
NOISES = ("normal", "t4")
#: Of one interval alone, and of the first step of Holm over 12 and over 40 tasks.
LEVELS = {"single": 0.05, "of 12": 0.05 / 12, "of 40": 0.05 / 40}
#: What docs/verdict.md calls the intervals, and their key and colour.
PROCEDURES = {
    "the verdict's interval": ("single", "#0072b2"),
    "t over seeds alone": ("seeds alone", "#d55e00"),
    "rows alone": ("rows alone", "#7a7a7a"),
}
#: Values of c held in memory at once.
BLOCK = 4_000_000
ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "verdict_simulation.json"
FIGURE = ROOT / "docs" / "verdict-simulation.svg"


@dataclass(frozen=True)
class Draws:
    """What all cells of one S, n and noise need of their common draws; one entry a draw.

    With x_r = β b_r + γ c̄_r over rows, var x = β² var b + 2βγ cov(b, c̄) + γ² var c̄: so no cell draws anew.
    """

    seed_effects: np.ndarray  # a [draws, S]
    row_mean: np.ndarray  # mean over rows of b [draws]
    seed_interactions: np.ndarray  # mean over rows of c [draws, S]
    row_moments: np.ndarray  # var b, cov(b, mean over seeds of c), var of that mean [draws, 3]
    num_rows: int


def noise_of(kind: str, generator: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Mean 0, variance 1."""
    return generator.standard_normal(size) if kind == "normal" else generator.standard_t(4, size) / np.sqrt(2)


def effects(
    kind: str, num_seeds: int, num_rows: int, draws: int, generator: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Blocks of draws of a [draws, S], b [draws, n] and c [draws, S, n]."""
    block = max(1, BLOCK // (num_seeds * num_rows))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        shapes = (size, num_seeds), (size, num_rows), (size, num_seeds, num_rows)
        yield tuple(noise_of(kind, generator, shape) for shape in shapes)


def summarise(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Draws:
    over_seeds = c.mean(axis=1)
    centred, centred_mean = (x - x.mean(axis=1, keepdims=True) for x in (b, over_seeds))
    pairs = ((centred, centred), (centred, centred_mean), (centred_mean, centred_mean))
    num_rows = b.shape[1]
    moments = np.stack([(x * y).sum(axis=1) / (num_rows - 1) for x, y in pairs], axis=1)
    return Draws(a, b.mean(axis=1), c.mean(axis=2), moments, num_rows)


def joined(blocks: list[Draws]) -> Draws:
    names = ("seed_effects", "row_mean", "seed_interactions", "row_moments")
    return Draws(*(np.concatenate([getattr(x, name) for x in blocks]) for name in names), blocks[0].num_rows)


def scales(num_seeds: int, num_rows: int, share: float, interaction: float) -> tuple[float, float, float]:
    """Standard deviations of a, b and c, so that the mean of D has standard error 1."""
    alpha = np.sqrt(share * num_seeds)
    beta = np.sqrt((1 - share) * num_rows / (1 + interaction / num_seeds))
    return alpha, beta, beta * np.sqrt(interaction)


def estimates(found: Draws, share: float, interaction: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """d, V_seed and V_row of every draw of one cell."""
    num_seeds = found.seed_effects.shape[1]
    alpha, beta, gamma = scales(num_seeds, found.num_rows, share, interaction)
    by_seed = alpha * found.seed_effects + beta * found.row_mean[:, None] + gamma * found.seed_interactions
    row_variance = found.row_moments @ np.array([beta**2, 2 * beta * gamma, gamma**2])
    return by_seed.mean(axis=1), by_seed.var(axis=1, ddof=1) / num_seeds, row_variance / found.num_rows


def cell(found: Draws, share: float, interaction: float) -> dict[str, float]:
    """False rates, half-width and power of one cell."""
    d, seed_variance, row_variance = estimates(found, share, interaction)
    num_seeds = found.seed_effects.shape[1]
    parts = [Part(seed_variance, num_seeds - 1), Part(row_variance, found.num_rows - 1)]
    result = {f"false, {name}": np.mean(np.abs(d) >= half_width(parts, level)) for name, level in LEVELS.items()}
    result["half-width / oracle"] = half_width(parts).mean() / half_width([Part(1.0)])
    result["false, seeds alone"] = np.mean(np.abs(d) >= half_width(parts[:1]))
    result["false, rows alone"] = np.mean(np.abs(d) >= half_width(parts[1:]))
    # At the effect that another study of this cell, no better informed, calls detectable.
    result["power"] = np.mean(d + np.roll(minimum_detectable_effect(parts), 1) >= half_width(parts))
    return {name: round(float(value), 5) for name, value in result.items()}


def simulate(draws: int = 2000, seed: int = 0, **grid: tuple) -> list[dict[str, float | str]]:
    """Every cell of the grid; `seeds`, `rows`, `shares`, `interactions`, `noises` choose a smaller one."""
    rows: list[dict[str, float | str]] = []
    generator = np.random.default_rng(seed)
    for noise in grid.get("noises", NOISES):
        for num_seeds in grid.get("seeds", SEEDS):
            for num_rows in grid.get("rows", ROWS):
                blocks = [summarise(*found) for found in effects(noise, num_seeds, num_rows, draws, generator)]
                found = joined(blocks)
                rows += [
                    {"noise": noise, "seeds": num_seeds, "rows": num_rows, "share": share, "interaction": k}
                    | cell(found, share, k)
                    for share in grid.get("shares", SHARES)
                    for k in grid.get("interactions", INTERACTIONS)
                ]
    return rows


def ranges(rows: list[dict[str, float | str]]) -> list[dict[str, float | str]]:
    """Lowest and highest false rate at 5 seeds, by procedure and seeds' share."""
    found: list[dict[str, float | str]] = []
    for title, (name, _) in PROCEDURES.items():
        for share in sorted({row["share"] for row in rows}):
            cells = [r[f"false, {name}"] for r in rows if r["share"] == share and r["seeds"] == 5]
            found.append({"procedure": title, "share": share, "lowest": min(cells), "highest": max(cells)})
    return found


def table(rows: list[dict[str, float | str]]) -> str:
    """The ranges, as docs/verdict.md shows them."""
    found = ranges(rows)
    shares = sorted({row["share"] for row in found})
    lines = [
        "| seeds' share of the squared error | " + " | ".join(f"{share:g}" for share in shares) + " |",
        "| --- |" + " --- |" * len(shares),
    ]
    for title in PROCEDURES:
        cells = [f"{r['lowest']:.1%} – {r['highest']:.1%}" for r in found if r["procedure"] == title]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figure(rows: list[dict[str, float | str]]) -> str:
    """The ranges as a picture (SVG): a band a procedure, its highest rate as a line, 5 % and 6 % dashed."""
    import altair as alt
    import vl_convert

    shares = alt.X(
        "share:Q", title="seeds' share of the squared error", axis=alt.Axis(values=list(SHARES), format="~g")
    )
    scale = alt.Scale(type="log", domain=[0.005, 1], nice=False)
    ticks = alt.Axis(values=[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1], format="~%", gridOpacity=0.5)
    rates = alt.Y("highest:Q", title='studies with a false "helps" or "hurts"', scale=scale, axis=ticks)
    colours = alt.Scale(domain=list(PROCEDURES), range=[colour for _, colour in PROCEDURES.values()])
    colour = alt.Color("procedure:N", title=None, scale=colours, legend=alt.Legend(orient="top", symbolOpacity=1))
    base = alt.Chart(alt.Data(values=ranges(rows)))
    bands = base.mark_area(opacity=0.2).encode(x=shares, y=rates, y2="lowest:Q", color=colour)
    lines = base.mark_line(point=True, strokeWidth=2).encode(x=shares, y=rates, color=colour)
    limits = alt.Chart(alt.Data(values=[{"highest": limit} for limit in (0.05, 0.06)]))
    dashes = limits.mark_rule(strokeDash=[4, 3], color="black").encode(y=rates)
    chart = (dashes + bands + lines).properties(width=480, height=260, background="white", padding=12)
    drawn: str = vl_convert.vegalite_to_svg(chart.configure_view(stroke=None).to_json())
    return drawn


def targets(rows: list[dict[str, float | str]]) -> list[dict[str, object]]:
    widths = [row["half-width / oracle"] for row in rows if row["seeds"] == 5]
    pooled = {
        name: max(np.mean([row[f"false, {name}"] for row in rows if row["seeds"] == s]) / level for s in SEEDS)
        for name, level in LEVELS.items()
    }
    found = [
        ("highest false rate of any cell", max(row["false, single"] for row in rows), 0.06),
        ("widest half-width / oracle at 5 seeds", max(widths), 1.5),
        ("false rate / level under Holm over 12 tasks, mean of cells, worst number of seeds", pooled["of 12"], 1.0),
        ("false rate / level under Holm over 40 tasks, mean of cells, worst number of seeds", pooled["of 40"], 1.0),
    ]
    return [
        {"name": n, "value": round(float(v), 4), "target": t, "better": "lower", "met": bool(v <= t)}
        for n, v, t in found
    ]


def write_table(text: str) -> None:
    """Into its place in docs/verdict.md."""
    page = ROOT / "docs" / "verdict.md"
    opening = "<!-- written by: python benchmarks/verdict_simulation.py -->\n"
    before, mark, rest = page.read_text(encoding="utf-8").partition(opening)
    _, end, after = rest.partition("<!-- /written -->")
    page.write_text(f"{before}{mark}{text}\n{end}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--figure", action="store_true", help="draw the results that are there, simulate nothing")
    options = parser.parse_args()
    if options.figure:
        FIGURE.write_text(figure(json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]), encoding="utf-8")
        return
    began = time.time()
    rows = simulate(options.draws)
    result = {
        "question": __doc__.splitlines()[0],
        "command": f"python benchmarks/verdict_simulation.py --draws {options.draws}",
        "versions": {"polytask": __version__, "torch": version("torch"), "numpy": np.__version__},
        "hardware": f"{os.cpu_count()} CPU cores",
        "threads": 1,
        "seconds": round(time.time() - began, 1),
        "rows": rows,
        "targets": targets(rows),
        "table": table(rows),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    write_table(result["table"])
    FIGURE.write_text(figure(rows), encoding="utf-8")
    print(result["table"])
    for target in result["targets"]:
        print(f"{target['name']}: {target['value']} (target {target['target']}, met: {target['met']})")


if __name__ == "__main__":
    main()
