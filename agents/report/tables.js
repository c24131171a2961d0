// Tables: sorted by a click on a heading; a chance of the matrix in words under the pointer.

/** Give every heading of a table a button that sorts its rows: up, down, and as they were. */
function sortable(table) {
  const body = table.tBodies[0], rows = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  const sort = (column, order) => {
    headings.forEach((heading, i) => heading.setAttribute("aria-sort", i === column ? order : "none"));
    const keys = new Map(rows.map((row) => [row, sortKey(row.cells[column])]));
    const sign = order === "descending" ? -1 : 1;
    const sorted = order === "none" ? rows : [...rows].sort((a, b) => compareKeys(keys.get(a), keys.get(b), sign));
    body.append(...sorted);
  };
  headings.forEach((heading, column) => {
    const button = element("button", { type: "button" }, ...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    const next = { none: "ascending", ascending: "descending", descending: "none" };
    button.addEventListener("click", () => sort(column, next[heading.getAttribute("aria-sort")]));
  });
}

/** What a cell is sorted by: the number that it stands for, or its text. */
function sortKey(cell) {
  if (cell.dataset.value !== undefined) return +cell.dataset.value;
  return (cell.querySelector(".agent") ?? cell).textContent.trim();
}

/** Numbers before texts, whichever way they are sorted: a text among numbers says that there is none. */
function compareKeys(a, b, sign) {
  const numbers = [typeof a === "number", typeof b === "number"];
  if (numbers[0] !== numbers[1]) return numbers[0] ? -1 : 1;
  return sign * (numbers[0] ? a - b : a.localeCompare(b, "en", { numeric: true }));
}

/** A cell of a matrix as a sentence, with its row and column marked. */
function spoken(table) {
  const head = table.tHead.rows[0].cells;
  const name = (cell) => cell.querySelector(".agent").textContent;
  const mark = (cell, on) => {
    for (const one of [cell, cell.parentNode.cells[0], head[cell.cellIndex]]) one.classList.toggle("under", on);
  };
  let last = null;
  const leave = () => { if (last) mark(last, false); last = null; hideTip(); };
  pointed(table, (event) => {
    const cell = event.target.closest("td");
    if (cell === last && !TIP.hidden) return;
    leave();
    if (!cell || cell.dataset.value === undefined && !cell.classList.contains("heat")) return;
    const [chance, interval] = [cell.firstChild.textContent, cell.querySelector("small")?.textContent.trim()];
    if (!cell.querySelector("small")) return;
    mark(last = cell, true);
    showTip(`<b>${escape(name(cell.parentNode.cells[0]))}</b> beats <b>${escape(name(head[cell.cellIndex]))}</b><br>` +
      `with a probability of ${escape(chance)}${interval ? `, 95 % interval ${escape(interval)}` : ""}`, event.pageX, event.pageY);
  }, leave);
}

for (const table of document.querySelectorAll("table.grid")) {
  if (table.classList.contains("matrix")) spoken(table);
  else if (table.tBodies[0].rows.length > 1) sortable(table);
}
