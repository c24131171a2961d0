// The panel of the pinned cell: its drawing, names and numbers, and its 24 neighbours.

/** A panel; `show(index)` fills it, -1 empties it. `view`: {tables, costs, agents, judge() -> measure, pin(index)}. */
function spacePanel(view) {
  const body = element("div", { class: "pinned" });
  const live = element("p", { class: "unseen", "aria-live": "polite" });
  const sort = { by: "difference", down: true };
  const show = (index) => {
    if (index < 0) return body.replaceChildren(element("p", { class: "note" },
      "Point at a dot to see its cell; click it, or press Enter on it, to keep it here. In the chart the arrow keys lead " +
      "from dot to dot, and Escape lets the cell go."));
    const close = element("button", { type: "button", "aria-label": "let the pinned cell go", title: "Escape" }, "×");
    close.addEventListener("click", () => view.pin(-1));
    const picture = element("div", { class: "picture", role: "img", "aria-label": cellInWords(index) });
    picture.innerHTML = cell(index);
    body.replaceChildren(element("div", { class: "top" }, element("h3", {}, `Cell ${SPACE.official[index]}`), close), picture,
      element("code", { class: "string" }, officialString(opsOf(index))), facts(index), accuracies(index, view), prices(index, view),
      ...asked(index, view), neighbourList(index, view, sort));
  };
  const say = (text) => { if (live.textContent !== text) live.textContent = text; };
  return { node: element("aside", { class: "panel", "aria-label": "Pinned cell" }, body, live), show, say };
}

function cellInWords(index) {
  return opsOf(index).map((op, edge) => `${edgeName(edge)} ${DATA.ops.short[op]}`).join(", ");
}

function facts(index) {
  const rows = [["official index", SPACE.official[index]], ["index (lexicographic)", index],
    ["depth (convolutions in a row)", depthText(SPACE.depth[index])],
    ["cells that are the same function", SPACE.members[index] - 1 ? `${SPACE.members[index] - 1} others` : "no other"]];
  return table([], rows.map((row) => row.map(String)));
}

function accuracies(index, { tables }) {
  const many = tables.length > 1;
  const rows = tables.flatMap((number) => SPACE.tables[number].accuracies.map((one) =>
    [many ? `${one.name}, ${SPACE.tables[number].name}` : one.name, one.text(index), one.rank[index] ? one.rank[index].toLocaleString("en") : "–"]));
  return rows.length ? table(["mean over runs", "", "rank"], rows) : element("p", { class: "note" }, "No accuracy is recorded.");
}

function prices(index, { costs, tables }) {
  const rows = costs.flatMap((number) => SPACE.tables[number].costs.map((one) =>
    [tables.length > 1 && costs.length > 1 ? `${one.name}, ${SPACE.tables[number].name}` : one.name, one.text(index)]));
  return table(["cost", ""], rows);
}

function asked(index, { agents }) {
  const rows = agents.map(({ name, counts, searches }) => [name, counts[index], searches]).filter(([, count]) => count)
    .map(([name, count, searches]) => [name, `${count} of ${searches}`]);
  if (!agents.length) return [];
  return [rows.length ? table(["asked by", "searches"], rows) : element("p", { class: "note" }, "No search asked for it.")];
}

/** A small table of texts; the first column's are headings of their rows. */
function table(heads, rows) {
  const head = heads.length ? [element("thead", {}, element("tr", {}, ...heads.map((text) => element(text ? "th" : "td", text ? { scope: "col" } : {}, text))))] : [];
  return element("table", { class: "facts" }, ...head, element("tbody", {}, ...rows.map(([first, ...rest]) =>
    element("tr", {}, element("th", { scope: "row" }, first), ...rest.map((text) => element("td", {}, text))))));
}

// ---- neighbours ----------------------------------------------------------------------------

function neighbourList(index, view, sort) {
  const judge = view.judge(), home = judge.values[index];
  const rows = neighbours(index).map((one, place) => ({ ...one, place, difference: judge.values[one.index] - home }));
  const body = element("tbody"), heads = {};
  const headings = [["place", "change"], ["difference", judge.unit === "%" ? "points" : judge.unit || "difference"]];
  const fill = () => {
    const known = (row) => (Number.isNaN(row[sort.by]) ? -Infinity : row[sort.by] * (sort.down ? 1 : -1));
    rows.sort((a, b) => known(b) - known(a) || a.place - b.place);
    body.replaceChildren(...rows.map((row) => neighbourRow(row, judge, view)));
    for (const [by, head] of Object.entries(heads)) head.setAttribute("aria-sort", by === sort.by ? (sort.down ? "descending" : "ascending") : "none");
  };
  for (const [by, text] of headings) {
    const button = element("button", { type: "button" }, text);
    button.addEventListener("click", () => { sort.down = sort.by === by ? !sort.down : by === "difference"; sort.by = by; fill(); });
    heads[by] = element("th", { scope: "col" }, button);
  }
  fill();
  const title = element("h4", {}, "Its 24 neighbours"), note = element("p", { class: "note" }, `One op changed; the difference is in ${judge.label}.`);
  return element("div", { class: "neighbours" }, title, note, element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Neighbours" },
    element("table", { class: "facts" }, element("thead", {}, element("tr", {}, ...Object.values(heads))), body)));
}

function neighbourRow({ index, edge, from, to, difference }, judge, view) {
  const { short } = DATA.ops, sign = difference > 0 ? "+" : difference < 0 ? "−" : "";
  const go = element("button", { type: "button", "data-index": index }, `${edgeName(edge)}: ${short[from]} → ${short[to]}`);
  const row = element("tr", {}, element("th", { scope: "row" }, go),
    element("td", {}, Number.isNaN(difference) ? "not recorded" : `${sign}${Math.abs(difference).toFixed(judge.digits)}`));
  row.addEventListener("click", () => view.pin(index));
  row.addEventListener("pointerenter", () => view.point(index));
  row.addEventListener("pointerleave", () => view.point(-1));
  go.addEventListener("focus", () => view.point(index));
  go.addEventListener("blur", () => view.point(-1));
  return row;
}
