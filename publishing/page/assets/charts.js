// Charts by plotly.js, each drawn from the cells of the table below it: one set of figures, no second source.
"use strict";

const PAPER_WIDTH = 690; // A4 less its margins, in CSS pixels

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function number(text) {
  const cleaned = text.trim().replace("−", "-");
  if (!/\d/.test(cleaned)) return null;
  return parseFloat(cleaned) / (cleaned.endsWith("%") ? 100 : 1);
}

/** The rows of a table: heads, and columns by what a chart takes them for, each with its header and texts. */
function read(table) {
  const rows = [...table.tBodies[0].rows];
  const columns = {};
  for (const header of table.tHead.rows[0].cells) {
    if (!header.dataset.series) continue;
    const texts = rows.map(row => row.cells[header.cellIndex].textContent.trim());
    (columns[header.dataset.series] ??= []).push({ name: header.textContent.trim(), texts, values: texts.map(number) });
  }
  return { heads: rows.map(row => row.querySelector("th").textContent.trim()), columns };
}

function bounds(text) {
  const found = text.split("—").map(number);
  return [found[0], found.at(-1)];
}

const series = place => colour(`series-${place % 7 + 1}`);
const horizontal = (rows, least = 120) => Math.max(least, rows * 26 + 76);
const names = { automargin: true, autorange: "reversed", ticksuffix: " ", type: "category" };

const draw = {
  // Places with the interval that chance leaves open; areas that are counted in full have none.
  intervals({ heads, columns }) {
    const ranks = columns.rank[0].values;
    const found = columns.interval[0].texts.map(bounds);
    const shown = heads.map((_, row) => row).filter(row => ranks[row] !== null);
    const pick = values => shown.map(row => values[row]);
    const reach = side => shown.map(row => found[row][0] === null ? 0 : side * (found[row][side < 0 ? 0 : 1] - ranks[row]));
    return {
      data: [{
        type: "scatter", mode: "markers", x: pick(ranks), y: pick(heads),
        customdata: pick(columns.interval[0].texts), hovertemplate: "%{y}：第 %{x} 名（区间 %{customdata}）<extra></extra>",
        marker: { color: colour("series-1"), size: 10 },
        error_x: { type: "data", symmetric: false, array: reach(1), arrayminus: reach(-1), color: colour("series-2"), thickness: 2.5, width: 5 },
      }],
      layout: { height: horizontal(shown.length), xaxis: { title: { text: "名次（点）与名次区间（线）" }, range: [0.4, heads.length + 0.6], dtick: heads.length > 10 ? 2 : 1, tick0: 1, zeroline: false }, yaxis: names },
    };
  },
  parts({ heads, columns }) {
    const data = columns.part.map((part, place) => ({
      type: "bar", orientation: "h", name: part.name, x: part.values, y: heads, marker: { color: series(place) },
      hovertemplate: "%{y} · %{fullData.name}：%{x:.2f} 分<extra></extra>",
    }));
    // The legend stands above the bars, a line for every two names on a phone.
    const legend = Math.ceil(data.length / 2) * 24;
    return {
      data,
      layout: { barmode: "relative", height: horizontal(heads.length) + legend, margin: { t: legend + 14 }, legend: { orientation: "h", x: 0, xanchor: "left", y: 1.01, yanchor: "bottom" }, xaxis: { title: { text: "得分" }, zeroline: true }, yaxis: names },
    };
  },
  heat({ heads, columns }) {
    const months = columns.month ?? [];
    const narrow = innerWidth <= 700;
    const scale = narrow
      ? { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", thickness: 8, len: 1 }
      : { thickness: 10, len: 0.9, title: { text: "得分", side: "right" } };
    const z = heads.map((_, row) => months.map(month => month.values[row]));
    return {
      data: [{
        type: "heatmap", x: months.map(month => month.name), y: heads, z, text: z.map(row => row.map(value => value === null ? "" : value.toFixed(0))),
        texttemplate: narrow ? "" : "%{text}", textfont: { color: colour("ink"), size: 11 }, hoverongaps: false, xgap: 1, ygap: 1,
        colorscale: [[0, colour("heat-low")], [0.5, colour("heat-mid")], [1, colour("heat-high")]],
        colorbar: { outlinewidth: 0, ...scale },
        hovertemplate: "%{y} · %{x}：%{z:.2f} 分<extra></extra>",
      }],
      layout: { height: horizontal(heads.length) + (narrow ? 40 : 0), xaxis: { type: "category", tickangle: -45 }, yaxis: names },
    };
  },
  trend({ heads, columns }) {
    const line = (column, place, dash) => ({
      type: "scatter", mode: "lines+markers", name: column.name, x: heads, y: column.values, connectgaps: false,
      line: { color: series(place), dash, width: 2.5 }, marker: { size: 7 }, hovertemplate: "%{x} · %{fullData.name}：%{y:.2f} 分<extra></extra>",
    });
    return {
      data: [line(columns.score[0], 0, "solid"), line(columns.group[0], 1, "dot")],
      layout: { height: 300, xaxis: { type: "category", tickangle: -45 }, yaxis: { title: { text: "得分" }, rangemode: "normal" }, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" } },
    };
  },
  // Own score against the group's mean, area by area.
  places({ heads, columns }) {
    return {
      data: [
        { type: "bar", orientation: "h", name: columns.score[0].name, x: columns.score[0].values, y: heads, marker: { color: colour("series-1") }, hovertemplate: "%{y}：%{x:.2f} 分<extra></extra>" },
        { type: "scatter", mode: "markers", name: columns.group[0].name, x: columns.group[0].values, y: heads, marker: { color: colour("series-2"), symbol: "diamond", size: 11, line: { color: colour("paper"), width: 1 } }, hovertemplate: "%{y} 组均分：%{x:.2f}<extra></extra>" },
      ],
      layout: { height: horizontal(heads.length) + 24, xaxis: { range: [0, 102], title: { text: "得分" } }, yaxis: names, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" } },
    };
  },
  // Shares only: counts and means have no common scale with them.
  metrics({ heads, columns }) {
    const share = columns.value[0].texts;
    const rows = heads.map((_, row) => row).filter(row => share[row].endsWith("%") && columns.target[0].values[row] !== null);
    const pick = values => rows.map(row => values[row]);
    const areas = columns.area[0].texts;
    // Two metrics of different areas may share a name: rows stand by number, their names are printed beside them.
    const y = rows.map((_, place) => place);
    const own = pick(columns.value[0].values);
    const found = pick(columns.chance[0].texts).map(bounds);
    const reach = side => found.map((pair, place) => pair[0] === null ? 0 : side * (pair[side < 0 ? 0 : 1] - own[place]));
    const marks = (column, symbol, place, size) => ({
      type: "scatter", mode: "markers", name: column.name, x: pick(column.values), y, customdata: rows.map(row => `${areas[row]} · ${heads[row]}`),
      marker: { symbol, size, color: series(place), line: { width: symbol.includes("open") || symbol.includes("line") ? 2.5 : 0, color: series(place) } },
      hovertemplate: "%{customdata}：" + column.name + " %{x:.2%}<extra></extra>",
    });
    const mine = marks(columns.value[0], "circle", 0, 10);
    mine.error_x = { type: "data", symmetric: false, array: reach(1), arrayminus: reach(-1), color: colour("series-1"), thickness: 1.5, width: 4 };
    return {
      data: [marks(columns.target[0], "line-ns-open", 2, 14), marks(columns.group[0], "diamond-open", 1, 9), mine],
      layout: { height: horizontal(rows.length) + 24, xaxis: { tickformat: ".0%", range: [-0.02, 1.04], zeroline: false }, yaxis: { automargin: true, ticksuffix: " ", tickvals: y, ticktext: pick(heads), range: [rows.length - 0.4, -0.6], zeroline: false }, legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom" } },
    };
  },
  change({ heads, columns }) {
    const values = columns.part[0].values;
    return {
      data: [{
        type: "bar", orientation: "h", x: values, y: heads, text: columns.part[0].texts, textposition: "auto", cliponaxis: false,
        marker: { color: values.map(value => colour(value < 0 ? "series-2" : "series-3")) }, hovertemplate: "%{y}：%{text} 分<extra></extra>",
      }],
      layout: { height: horizontal(heads.length), showlegend: false, xaxis: { title: { text: "对综合得分变动的贡献" }, zeroline: true }, yaxis: names },
    };
  },
};

function show(plot, width) {
  const { data, layout } = draw[plot.dataset.chart](read(document.getElementById(plot.dataset.table)));
  if (!data.length || !data.some(trace => trace.x?.length)) return;
  plot.classList.add("drawn");
  const axis = { gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("soft"), fixedrange: true };
  Plotly.react(plot, data, {
    ...layout,
    ...(width ? { width } : { autosize: true }),
    margin: { l: 8, r: 16, t: 34, b: 44, ...layout.margin },
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("ink") },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false,
    hoverlabel: { bgcolor: colour("paper"), bordercolor: colour("line"), font: { color: colour("ink") } },
    xaxis: { automargin: true, ...axis, ...layout.xaxis },
    yaxis: { automargin: true, ...axis, ...layout.yaxis },
  }, { displayModeBar: false, responsive: !width, scrollZoom: false });
}

function showAll(width) {
  for (const plot of document.querySelectorAll(".plot")) show(plot, width);
}

showAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => showAll());
function forPaper(paper) {
  document.documentElement.classList.toggle("paper", paper);
  showAll(paper ? PAPER_WIDTH : undefined);
}

addEventListener("beforeprint", () => forPaper(true));
addEventListener("afterprint", () => forPaper(false));
