// The charts of the overview, drawn from the table of numbers that stands below them.
(() => {
  "use strict";
  const table = document.getElementById("numbers");
  if (!table) return;
  const lang = document.documentElement.lang || "en";
  const step = Number(table.dataset.step);
  const rows = [...table.tBodies[0].rows].reverse();  // the table has the newest first
  const times = rows.map((row) => Number(row.dataset.at));
  const column = (name) => rows.map((row) => {
    const value = row.querySelector(`[data-column="${name}"]`).dataset.value;
    return value === "" ? null : Number(value);
  });
  const told = (row, name) => row.querySelector(`[data-column="${name}"]`).textContent;
  const end = times[times.length - 1] + step;

  // Days are those of UTC, as in the table; what is shorter is told in the reader's own zone.
  const days = step >= 86400;
  const zone = days ? { timeZone: "UTC" } : {};
  const date = new Intl.DateTimeFormat(lang, { day: "numeric", month: "short", ...zone });
  const clock = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const moment = new Intl.DateTimeFormat(lang, days
    ? { dateStyle: "medium", ...zone }
    : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const short = new Intl.NumberFormat(lang, { notation: "compact", maximumFractionDigits: 2 });
  const at = (time) => new Date(time * 1000);
  const label = (time) => {
    const when = at(time);
    const midnight = !days && when.getHours() === 0 && when.getMinutes() === 0;
    return days || midnight ? date.format(when) : clock.format(when);
  };

  function style(element, name) {
    return getComputedStyle(element).getPropertyValue(name).trim();
  }

  function options(figure, plot, series, lines) {
    const colour = (name) => style(figure, name);
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const unit = figure.dataset.unit ?? "#";
    const readout = figure.querySelector(".readout");
    const axis = { stroke: colour("--faint"), font, grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const say = (chart) => {
      const { idx } = chart.cursor;
      readout.textContent = idx == null ? "" : [
        moment.format(at(times[idx])),
        ...series.map((one) => `${one.textContent} ${told(rows[idx], one.dataset.column)}`),
      ].join(" · ");
    };
    return {
      width: plot.clientWidth,
      height: 190,
      padding: [8, 34, 0, 0],
      tzDate: (time) => (days ? uPlot.tzDate(at(time), "Etc/UTC") : at(time)),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: lines } },
      scales: {
        x: { range: () => [times[0], end] },
        y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] },
      },
      axes: [
        { ...axis, size: 26, space: 60, values: (_, splits) => splits.map(label) },
        { ...axis, size: 52, values: (_, splits) => splits.map((value) => unit.replace("#", short.format(value))) },
      ],
      series: [{}, ...series.map((one) => {
        const stroke = style(one, "--series");
        if (lines) return { stroke, width: 2, points: { show: true, size: 4, fill: stroke } };
        return { stroke, fill: stroke, width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.8, 60], align: 1 }) };
      })],
      hooks: { setCursor: [say] },
    };
  }

  const charts = new Map();
  function draw(plot) {
    const figure = plot.closest(".chart");
    const series = [...figure.querySelectorAll(".series")];
    const data = [times, ...series.map((one) => column(one.dataset.column))];
    charts.get(plot)?.destroy();
    charts.set(plot, new uPlot(options(figure, plot, series, figure.dataset.kind === "lines"), data, plot));
  }

  const sizes = new ResizeObserver((changes) => {
    for (const { target } of changes) {
      const chart = charts.get(target);
      if (!target.clientWidth) continue;
      if (!chart) draw(target);
      else if (chart.width !== target.clientWidth) chart.setSize({ width: target.clientWidth, height: chart.height });
    }
  });
  for (const plot of document.querySelectorAll(".chart .plot")) sizes.observe(plot);
  // Where the colours are the system's, they may change while one looks.
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const plot of charts.keys()) draw(plot);
  });
})();
