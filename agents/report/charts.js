// The charts of an environment, and of all of them.

const regretChart = (host, setting) => curvesChart(host, { ...setting, yLabel: "regret (percentage points)" });

/** Curves over queries or time, one for each agent; with a floor, values may stand on a logarithmic axis. */
function curvesChart(host, { agents, random, floor, yLabel, unit }) {
  const settings = { axis: "queries", centre: "mean", xLog: true, yLog: floor !== undefined };
  const plot = element("div", { class: "chart" });
  const draw = () => {
    const [y, low, high] = settings.centre === "mean" ? ["mean", "low", "high"] : ["median", "q25", "q75"];
    const series = agents.filter((a) => shown(a.label)).map((a) => {
      const c = a[settings.axis];
      return { label: a.label, name: DATA.labels[a.label], x: c.x, y: c[y], low: c[low], high: c[high] };
    });
    if (random && settings.axis === "queries" && settings.centre === "mean")
      series.push({ name: EXPECTED.name, look: EXPECTED, x: random.x, y: random.mean, low: [], high: [] });
    lines(plot, series, { ...settings, floor, unit, height: state.paper ? 330 : series.length > 9 ? 440 : 380, yLabel,
      xLabel: settings.axis === "queries" ? "queries" : "simulated GPU hours", counted: settings.axis === "queries",
      xName: (v) => (settings.axis === "queries" ? `${v.toLocaleString("en")} ${v === 1 ? "query" : "queries"}` : `${format(v, 3)} GPU hours`) });
    emphasise();
  };
  host.append(element("div", { class: "controls" },
    choice("axis", [["queries", "Queries"], ["hours", "Simulated GPU time"]], settings, draw),
    choice("centre", [["mean", "Mean and 95 % interval"], ["median", "Median and quartiles"]], settings, draw),
    check("xLog", "log x", settings, draw), ...(floor === undefined ? [] : [check("yLog", "log y", settings, draw)])), plot, printedKey({ agents, random }));
  return draw;
}

function profileChart(host, { thresholds, agents, xLabel, unit }) {
  const settings = { xLog: true };
  const plot = element("div", { class: "chart" });
  const draw = () => {
    const series = agents.filter((a) => shown(a.label)).map((a) => ({ label: a.label, name: DATA.labels[a.label],
      x: thresholds, y: a.profile.share, low: a.profile.low, high: a.profile.high, step: true }));
    lines(plot, series, { ...settings, yMax: 102, height: state.paper ? 290 : 320, unit: " %", xLabel, yLabel: "searches (%)", marks: "lines",
      xName: (v) => `at most ${format(v, 3)} ${unit}` });
    emphasise();
  };
  host.append(element("div", { class: "controls" }, check("xLog", "log x", settings, draw)), plot, printedKey({ agents }));
  return draw;
}
