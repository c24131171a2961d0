// The pinned cell: its drawing, names and numbers in a panel, and below the chart its 24 neighbours.

/** The panel and the list; `show(index)` fills them, -1 empties them. `view`: {tables, costs, agents, judge() -> measure, pin, point}. */
function spacePanel(view) {
  const body = element("div", { class: "pinned" }), near = element("div", { class: "neighbours" });
  const live = element("p", { class: "unseen", "aria-live": "polite" });
  const sort = { by: "difference", down: true };
  const show = (index) => {
    near.replaceChildren(...(index < 0 ? [] : neighbourList(index, view, sort)));
    if (index < 0) return body.replaceChildren(element("p", { class: "note" },
      "Point at a dot to see its cell; click it, or press Enter on it, to keep it here. In the chart the arrow keys lead " +
      "from dot to dot, and Escape lets the cell go."));
    const close = element("button", { type: "button", "aria-label": "let the pinned cell go", title: "Escape" }, "×");
    close.addEventListener("click", () => view.pin(-1));
    const picture = element("div", { class: "picture", role: "img", "aria-label": cellInWords(index) });
    picture.innerHTML = cell(index);
    body.replaceChildren(element("div", { class: "top" }, element("h3", {}, `Cell ${SPACE.official[index]}`), close), picture,
      element("code", { class: "string" }, officialString(opsOf(index))), facts(index), ...numbers(index, view), ...asked(index, view));
  };
  const say = (text) => { if (live.textContent !== text) live.textContent = text; };
  return { node: element("aside", { class: "panel", "aria-label": "Pinned cell" }, body, live), near, show, say };
}

function cellInWords(index) {
  return opsOf(index).map((op, edge) => `${edgeName(edge)} ${DATA.ops.short[op]}`).join(", ");
}

function facts(index) {
  const rows = [["official index", SPACE.official[index]], ["index (lexicographic)", index],
    ["depth (convolutions in a row)", depthText(SPACE.depth[index])],
    ["cells that are the same function", others(SPACE.members[index] - 1)]];
  return table([], rows.map((row) => row.map(String)));
}

const others = (count) => (count ? `${count} other${count > 1 ? "s" : ""}` : "no other");

/** A small table for each table at hand: accuracies with their ranks, then costs. */
function numbers(index, { tables, costs }) {
  return tables.map((number) => {
    const { name, accuracies, costs: prices } = SPACE.tables[number];
    return table([name, "", "rank"], [
      ...accuracies.map((one) => [one.name, one.text(index), one.rank[index] ? one.rank[index].toLocaleString("en") : "–"]),
      ...(costs.includes(number) ? prices : []).map((one) => [one.name, one.text(index), ""])]);
  });
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
  const rows = neighbours(index).map((one, place) => ({ ...one, place, official: SPACE.official[one.index],
    value: judge.values[one.index], difference: judge.values[one.index] - home }));
  const body = element("tbody"), heads = {};
  const fill = () => {
    const known = (row) => (Number.isNaN(row[sort.by]) ? -Infinity : row[sort.by] * (sort.down ? 1 : -1));
    rows.sort((a, b) => known(b) - known(a) || a.place - b.place);
    body.replaceChildren(...rows.map((row) => neighbourRow(row, judge, view)));
    for (const [by, head] of Object.entries(heads)) head.setAttribute("aria-sort", by === sort.by ? (sort.down ? "descending" : "ascending") : "none");
  };
  for (const [by, text] of [["place", "change"], ["official", "official index"], ["value", judge.name], ["difference", judge.unit === "%" ? "points" : "difference"]]) {
    const button = element("button", { type: "button" }, text);
    button.addEventListener("click", () => { sort.down = sort.by === by ? !sort.down : ["value", "difference"].includes(by); sort.by = by; fill(); });
    heads[by] = element("th", { scope: "col" }, button);
  }
  fill();
  const head = element("thead", {}, element("tr", {}, ...Object.values(heads)));
  return [element("h3", {}, `The 24 neighbours of cell ${SPACE.official[index]}`),
    element("p", { class: "note" }, `One op changed. Accuracy and difference: ${judge.label}. A click pins the neighbour.`),
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Neighbours" }, element("table", { class: "facts" }, head, body))];
}

function neighbourRow({ index, edge, from, to, official, difference }, judge, view) {
  const { short } = DATA.ops, sign = difference > 0 ? "+" : difference < 0 ? "−" : "";
  const go = element("button", { type: "button", "data-index": index }, `${edgeName(edge)}: ${short[from]} → ${short[to]}`);
  const row = element("tr", {}, element("th", { scope: "row" }, go), element("td", {}, String(official)), element("td", {}, judge.text(index)),
    element("td", {}, Number.isNaN(difference) ? "–" : `${sign}${Math.abs(difference).toFixed(judge.digits)}`));
  row.addEventListener("click", () => view.pin(index));
  row.addEventListener("pointerenter", () => view.point(index));
  row.addEventListener("pointerleave", () => view.point(-1));
  go.addEventListener("focus", () => view.point(index));
  go.addEventListener("blur", () => view.point(-1));
  return row;
}
