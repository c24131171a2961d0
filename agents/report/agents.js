// The agents on the page: their looks, the legend, and which of them are chosen or under the pointer.

// `chosen` and `hovered` stand out from the others; with `alone` the others are not drawn at all.
const state = { panel: null, chosen: new Set(), hovered: null, alone: false };

const colour = (label) => `--c${label}`;
const shown = (label) => !state.alone || !state.chosen.size || state.chosen.has(label);
const standsOut = (label) => state.chosen.has(label) || state.hovered === label;
/** An agent's number, by which tables, legend and charts name it where there is little room. */
const number = (label) => label + 1;

/** The dash of an agent's line as SVG writes it; "none" for one without gaps. */
const dashes = (label, width) => DATA.dashes[label].map((part) => part * width).join(" ") || "none";

/** A piece of an agent's line, or of that of no agent, which has a look of its own. */
function lineSample(label, own) {
  const look = label === undefined ? { stroke: own.colour, "stroke-dasharray": own.dash, "stroke-width": own.width }
    : { stroke: `var(${colour(label)})`, "stroke-dasharray": dashes(label, 2.5), "stroke-width": 2.5 };
  return element("svg", { viewBox: "0 0 26 8", width: 26, height: 8, "aria-hidden": true },
    element("line", { x1: 0, x2: 26, y1: 4, y2: 4, ...look }));
}

const chip = (label) => element("span", { class: "chip", style: `--c:var(${colour(label)})` }, `${number(label)}`);
const chipText = (label) => chip(label).outerHTML;

/** A name with so many letters at most: of those of one agent with many settings, the ends differ. */
function shortened(name, most = 26) {
  const letters = [...name], half = Math.max((most - 1) / 2, 1);
  if (letters.length <= most) return name;
  return `${letters.slice(0, Math.floor(half)).join("")}…${letters.slice(letters.length - Math.ceil(half)).join("")}`;
}

/** An agent in a legend: its number, a piece of its line, its name. */
const described = (label) => [chip(label), lineSample(label), element("span", { class: "agent" }, shortened(DATA.labels[label]))];

/** Show who stands out: a matter of classes, so that nothing is drawn anew. */
function emphasise() {
  const panel = document.getElementById(state.panel);
  for (const node of document.querySelectorAll("#legend [data-agent]")) {
    node.classList.toggle("on", standsOut(+node.dataset.agent));
    node.setAttribute("aria-pressed", state.chosen.has(+node.dataset.agent));
  }
  const some = state.chosen.size > 0 || state.hovered !== null;
  for (const svg of panel.querySelectorAll("svg.agents")) svg.classList.toggle("some", some);
  for (const node of panel.querySelectorAll("[data-agent]")) node.classList.toggle("on", standsOut(+node.dataset.agent));
  for (const line of panel.querySelectorAll("g.agent.on")) line.parentNode.append(line); // above the others
}

function hover(label) {
  if (state.hovered === label) return;
  state.hovered = label;
  emphasise();
}

/** Choose an agent, or no longer. */
function choose(label) {
  state.chosen.delete(label) || state.chosen.add(label);
  chosenChanged();
}

function chosenChanged() {
  if (state.alone) redraw();
  legendControls();
  emphasise();
}

/** What an entry of a legend or a mark on a line does: hovering shows, a click chooses. */
function actsFor(node, label) {
  node.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && hover(label));
  node.addEventListener("pointerleave", () => hover(null));
  node.addEventListener("click", () => choose(label));
}

/** Entries of a legend for what is drawn besides the agents. */
const others = ({ random, front }) => [...(random ? [EXPECTED] : []), ...(front ? [TRUE_FRONT] : [])].map((look) =>
  element("span", { class: "entry" }, lineSample(undefined, look), look.name));

function legend(panel) {
  const labels = panel.agents.map((agent) => agent.label);
  const buttons = labels.map((label) => {
    const name = DATA.labels[label], full = shortened(name) === name ? {} : { "aria-label": `${number(label)} ${name}` };
    const button = element("button", { type: "button", class: "entry", "data-agent": label, title: name, ...full }, ...described(label));
    actsFor(button, label);
    button.addEventListener("focus", () => button.matches(":focus-visible") && hover(label));
    button.addEventListener("blur", () => hover(null));
    return button;
  });
  const all = element("button", { type: "button", id: "all" });
  all.addEventListener("click", () => {
    state.chosen = new Set(state.chosen.size ? [] : labels);
    chosenChanged();
  });
  const alone = check("alone", "only the chosen", state, () => { redraw(); emphasise(); });
  document.getElementById("legend").replaceChildren(...buttons, ...others(panel), element("span", { class: "tools" }, alone, all));
  legendControls();
}

function legendControls() {
  const all = document.getElementById("all");
  if (all) all.textContent = state.chosen.size ? "Choose none" : "Choose all";
}

/** The legend once more, for paper. */
function printedKey(panel) {
  const entries = panel.agents.filter((agent) => shown(agent.label)).map(({ label }) =>
    element("span", { class: "entry" }, ...described(label)));
  return element("p", { class: "printed", "aria-hidden": true }, ...entries, ...others(panel));
}
