// The report's page: its tabs, and how it goes onto paper.

const CHARTS = { regret: regretChart, profile: profileChart, ranks: ranksChart, space: spaceChart,
  "front-volume": volumeChart, "front-share": shareChart, "front-attained": attainedChart };
const SHEET = 700; // pixels of A4 between its margins
const drawers = new Map();
const panels = [...document.querySelectorAll("[role=tabpanel]")];

function show(name) {
  state.panel = name;
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.setAttribute("aria-selected", tab.dataset.panel === name);
    tab.tabIndex = tab.dataset.panel === name ? 0 : -1;
  }
  for (const panel of panels) panel.hidden = panel.id !== name;
  legend(DATA.panels[name]);
  redraw();
}

/** The charts of a panel; made when it is first shown. */
function drawersOf(name) {
  if (!drawers.has(name))
    drawers.set(name, [...document.querySelectorAll(`#${name} [data-chart]`)].map(
      (host) => CHARTS[host.dataset.chart](host, DATA.panels[name])));
  return drawers.get(name);
}

function redraw() {
  hideTip();
  for (const draw of drawersOf(state.panel)) draw();
}

// ---- paper ---------------------------------------------------------------------------------

/** All panels one after the other, drawn for a sheet in light colours. */
function toPaper() {
  const root = document.documentElement;
  state.screen = { panel: state.panel, theme: root.dataset.theme };
  state.paper = SHEET;
  root.dataset.theme = "light";
  for (const panel of panels) {
    panel.hidden = false;
    state.panel = panel.id;
    redraw();
  }
}

function toScreen() {
  if (!state.screen) return;
  const { panel, theme } = state.screen;
  state.paper = state.screen = undefined;
  document.documentElement.dataset.theme = theme;
  show(panel);
}

addEventListener("beforeprint", toPaper);
addEventListener("afterprint", toScreen);

// ---- start ---------------------------------------------------------------------------------

const tabs = [...document.querySelectorAll("[role=tab]")];
tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => show(tab.dataset.panel));
  tab.addEventListener("keydown", (event) => {
    const next = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (next === undefined) return;
    const chosen = tabs[(next + tabs.length) % tabs.length];
    event.preventDefault();
    chosen.focus();
    chosen.click();
  });
});
themed(redraw);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return; // a phone's address bar comes and goes
  width = innerWidth;
  requestAnimationFrame(redraw);
});
show(tabs[0].dataset.panel);
