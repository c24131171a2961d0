// The charts of an environment with several objectives.

const TRUE_FRONT = { name: "true front", dash: "none", width: 1.6, colour: "var(--ink)" };

const of = (agents, kind) => agents.map((a) => ({ label: a.label, ...a[kind] }));

const volumeChart = (host, { agents, volume }) =>
  curvesChart(host, { agents: of(agents, "volume"), ...volume, yLabel: "hypervolume lacking (%)", unit: " %" });

const shareChart = (host, { agents, share }) =>
  curvesChart(host, { agents: of(agents, "share"), ...share, yLabel: "points of the true front asked for (%)", unit: " %" });

/** The true front, and over it what half of each agent's searches attain. */
function attainedChart(host, { agents, front }) {
  const settings = { window: "0", xLog: front.log };
  const plot = element("div", { class: "chart" });
  const draw = () => {
    const window = front.windows[settings.window];
    const series = [{ ...front, name: TRUE_FRONT.name, look: TRUE_FRONT }, ...agents.filter((a) => a.steps && shown(a.label))
      .map((a) => ({ label: a.label, name: DATA.labels[a.label], ...a.steps }))];
    lines(plot, series.map((s) => within(s, window)).filter((s) => s.x.length), { ...settings, window, xLabel: front.across, yLabel: front.up,
      height: state.paper ? 330 : 400, unit: escape(front.units[1] && ` ${front.units[1]}`),
      xName: (v) => escape(`${front.what} ${format(v, 4)} ${front.units[0]}`) });
    emphasise();
  };
  const halves = [["0", "Whole front"], ["1", `Half with the better ${front.first}`]].slice(0, front.windows.length);
  host.append(element("div", { class: "controls" }, ...(halves.length > 1 ? [choice("window", halves, settings, draw)] : []),
    ...(front.windows.every(([left]) => left > 0) ? [check("xLog", "log x", settings, draw)] : [])), plot, printedKey({ agents, front }));
  return draw;
}

/** Steps between the left and the right end of a window; what is above or below it is drawn at its edge. */
function within(s, [left, right]) {
  const points = s.x.map((x, i) => [x, s.y[i]]).filter(([x]) => left <= x && x <= right);
  const before = s.x.findLastIndex((x) => x < left), last = points.at(-1) ?? [left, s.y[before]];
  if (before >= 0 && s.x.at(-1) > left) points.unshift([left, s.y[before]]);
  if (points.length && s.x.at(-1) > right) points.push([right, last[1]]);
  const dots = s.dots?.filter(([x]) => left <= x && x <= right);
  return { ...s, dots, x: points.map(([x]) => x), y: points.map(([, y]) => y), low: [], high: [], step: true };
}
