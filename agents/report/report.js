// The report's page: its tabs, its legend, its theme.

const CHARTS = { regret: regretChart, profile: profileChart, space: spaceChart };
const drawers = new Map();

function show(name) {
  state.panel = name;
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.setAttribute("aria-selected", tab.dataset.panel === name);
    tab.tabIndex = tab.dataset.panel === name ? 0 : -1;
  }
  for (const panel of document.querySelectorAll("[role=tabpanel]")) panel.hidden = panel.id !== name;
  if (!drawers.has(name))
    drawers.set(name, [...document.querySelectorAll(`#${name} [data-chart]`)].map(
      (host) => CHARTS[host.dataset.chart](host, DATA.panels[name])));
  legend(DATA.panels[name].agents.map((a) => a.label));
  redraw();
}

function redraw() {
  hideTip();
  for (const draw of drawers.get(state.panel) ?? []) draw();
}

function legend(labels) {
  const update = () => {
    for (const button of buttons) button.setAttribute("aria-pressed", shown(+button.dataset.label));
    redraw();
  };
  const buttons = labels.map((label) => {
    const button = element("button", { type: "button", "data-label": label, style: `--c: var(${colour(label)})`,
      "aria-pressed": shown(label), title: "Click: show or hide. Double click: show this one alone, or all." }, DATA.labels[label]);
    button.addEventListener("click", () => { state.hidden.delete(label) || state.hidden.add(label); update(); });
    button.addEventListener("dblclick", () => {
      const alone = labels.every((other) => shown(other) === (other === label));
      state.hidden = new Set(alone ? [] : labels.filter((other) => other !== label));
      update();
    });
    return button;
  });
  document.getElementById("legend").replaceChildren(...buttons);
}

function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  redraw();
}

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", (event) => theme(event.matches));
document.getElementById("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme !== "dark"));
const tabs = [...document.querySelectorAll("[role=tab]")];
tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => show(tab.dataset.panel));
  tab.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move) { const next = tabs[(i + move + tabs.length) % tabs.length]; next.focus(); next.click(); }
  });
});
addEventListener("resize", redraw);
theme(dark.matches);
show(tabs[0].dataset.panel);
