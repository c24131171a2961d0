// Which cell a text names: the forms of docs/notation.md that people type, with the messages of nb201env.notation.

/** The lexicographic index of what is written; throws an Error of one sentence. `owner`: whose a bare number is. */
function readCell(text, owner) {
  text = text.trim();
  if (!text) throw new Error("write a cell: an official string, a number, or six ops separated by commas");
  const [, prefix, rest] = /^(official|index|ops):(.*)$/.exec(text) ?? [];
  if (prefix === "ops") return indexOf(opNumbers(rest, text));
  if (prefix) return fromNumber(prefix, rest.trim(), text);
  if (/^[0-9]+$/.test(text)) return fromNumber(owner, text, text);
  if (text.includes("|")) return indexOf(fromString(text));
  const parts = text.replace(/[()[\]'"]/g, " ").split(/[\s,]+/).filter(Boolean);
  if (parts.length === 6 && parts.every((part) => /^[0-9]+$/.test(part)))
    throw new Error(`six numbers could be three architectures: say whose they are, ops:(${parts.join(", ")}) (positions in ` +
      `${DATA.ops.names.join(", ")}) is this package's`);
  if (parts.length !== 6) throw new Error(`an architecture is an official string, a number or six ops, one per edge; got ${cut(text)}`);
  return indexOf(parts.map(opNumber));
}

function fromNumber(owner, digits, text) {
  if (!/^[0-9]{1,18}$/.test(digits)) throw new Error(`after ${owner}: comes a whole number, such as ${owner}:6111; got ${cut(text)}`);
  const number = Number(digits);
  if (number >= SIZE) throw new Error(`the index of an architecture is in 0..${SIZE - 1}; got ${cut(text)}`);
  return owner === "index" ? number : SPACE.row[number];
}

function opNumbers(rest, text) {
  const parts = rest.replace(/[()[\]]/g, " ").split(/[\s,]+/).filter(Boolean);
  if (parts.length !== 6 || !parts.every((part) => /^[0-4]$/.test(part)))
    throw new Error(`ops needs six op numbers in 0..4, whole ones; got ${cut(text)}`);
  return parts.map(Number);
}

function fromString(text) {
  const groups = text.split("+");
  if (groups.length !== 3) throw new Error(`an official string has three node groups joined by '+'; got ${cut(text)}`);
  return groups.flatMap((group, before) => {
    const node = before + 1, parts = group.trim().split("|");
    if (parts.length !== node + 2 || parts[0] || parts[node + 1]) throw new Error(`node ${node} needs ${node} inputs like '|op~0|': ${cut(group)}`);
    return parts.slice(1, -1).map((part, source) => {
      const [name, ...origin] = part.split("~");
      if (origin.join("~") !== String(source)) throw new Error(`input ${source} of node ${node} must end in '~${source}': ${cut(part)}`);
      return opNumber(name);
    });
  });
}

/** An op by its official name, without nor_ and such, or as drawings call it. */
function opNumber(name) {
  const { names, short } = DATA.ops;
  const typed = name.replace("×", "x"), drawn = short.map((one) => one.replace("×", "x"));
  for (const known of [names, names.map((one) => one.replace(/^nor_/, "")), drawn])
    if (known.includes(typed)) return known.indexOf(typed);
  throw new Error(`unknown op ${cut(name)}; the ops are ${names.join(", ")}`);
}

const cut = (text) => `'${text.length > 80 ? `${text.slice(0, 79)}…` : text}'`;

/** The form that finds a cell and hands its index on. */
function searchForm(found) {
  const id = `find-${++searchForm.count}`;
  const input = element("input", { type: "text", id, autocomplete: "off", spellcheck: "false", maxlength: 4096,
    placeholder: "6111, |nor_conv_3x3~0|+… or six ops", "aria-describedby": `${id}-problem` });
  const owner = element("select", { "aria-label": "which index a number is" },
    element("option", { value: "official" }, "a number is the official index"),
    element("option", { value: "index" }, "a number is the index (lexicographic)"));
  const problem = element("p", { class: "problem", id: `${id}-problem`, role: "alert" });
  const form = element("form", { class: "find", role: "search" },
    element("label", { for: id }, "Find a cell"), input, owner, element("button", { type: "submit" }, "Find"), problem);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    try {
      const index = readCell(input.value, owner.value);
      problem.textContent = "";
      input.removeAttribute("aria-invalid");
      found(index);
    } catch (error) {
      problem.textContent = error.message;
      input.setAttribute("aria-invalid", "true");
    }
  });
  return form;
}
searchForm.count = 0;
