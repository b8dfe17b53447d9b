"use strict";
(() => {
  // Columns and keys of the series, as the rows that Vega reads.
  const rowsOf = (series) => series.flatMap(({ keys, columns }) => {
    const names = Object.keys(columns);
    return columns[names[0]].map((_, i) => ({ ...keys, ...Object.fromEntries(names.map((n) => [n, columns[n][i]])) }));
  });

  const theme = JSON.parse(document.getElementById("theme").textContent);

  // A chart in a closed <details> has no width of its own yet.
  const widthOf = (place) => Math.round(place.clientWidth || place.closest("section").clientWidth - 34);

  const draw = async (place) => {
    const { spec, series } = JSON.parse(place.nextElementSibling.textContent);
    let width = widthOf(place);
    const { view } = await vegaEmbed(place, { ...spec, width, datasets: { rows: rowsOf(series) } }, {
      actions: false, renderer: "svg", config: theme, tooltip: { disableDefaultStyle: true }, mode: "vega-lite",
    });
    new ResizeObserver(() => {
      if (!place.clientWidth || place.clientWidth === width) return;
      width = place.clientWidth;
      view.width(width).runAsync();
    }).observe(place);
  };

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  };

  // Numbers before text; what is missing last, whichever way.
  const compare = (one, other, sign) => {
    const kinds = [one, other].map((v) => (typeof v === "number" ? 0 : v === "–" ? 2 : 1));
    if (kinds[0] !== kinds[1]) return kinds[0] - kinds[1];
    return sign * (kinds[0] === 0 ? one - other : one.localeCompare(other, undefined, { numeric: true }));
  };

  const sort = (button) => {
    const heading = button.closest("th");
    const headings = [...heading.parentElement.cells];
    const body = heading.closest("table").tBodies[0];
    const isNumeric = heading.classList.contains("number");
    const now = heading.getAttribute("aria-sort");
    const next = now ? (now === "ascending" ? "descending" : "ascending") : isNumeric ? "descending" : "ascending";
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", next);
    const column = headings.indexOf(heading);
    const sign = next === "ascending" ? 1 : -1;
    const rows = [...body.rows].sort((a, b) => compare(valueOf(a, column), valueOf(b, column), sign));
    body.append(...rows);
  };

  document.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => sort(button)));

  // In print everything is open.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((details) => { details.open = false; }));

  Promise.all([...document.querySelectorAll(".chart")].map(draw)).then(() => document.body.setAttribute("data-drawn", ""));
})();
