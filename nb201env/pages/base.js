"use strict";
// What every page of charts shares: elements, scales, ticks, the tip beside the pointer, controls.
// The numbers come from the JSON in #data; nothing is fetched.

const DATA = JSON.parse(document.getElementById("data").textContent);
const TIP = document.getElementById("tip");
const MARGIN = { left: 58, right: 26, top: 10, bottom: 44 };

// ---- helpers -------------------------------------------------------------------------------

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function element(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "line", "path", "text", "circle", "rect"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

function unpack({ type, base64, bits, size }) {
  const kind = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array }[type];
  const values = new kind(bytes(base64).buffer);
  if (bits === undefined) return values;
  const some = bytes(bits), all = new kind(size); // counts: a bit for each that is not 0, and those
  for (let i = 0, next = 0; i < size; i++) if ((some[i >> 3] >> (i & 7)) & 1) all[i] = values[next++];
  return all;
}

function format(value, digits = 4) {
  if (value === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(value)));
  return value.toLocaleString("en", { maximumFractionDigits: clamp(digits - 1 - size, 0, 6) });
}

function ticks(low, high, log, want = 6) {
  const found = [];
  if (log) {
    const decades = Math.log10(high / low);
    const steps = decades > 3 ? [1] : decades > 1.2 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++)
      for (const s of steps) if (s * 10 ** e >= low * 0.999 && s * 10 ** e <= high * 1.001) found.push(s * 10 ** e);
    return found;
  }
  const raw = (high - low) / want, unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * [1, 2, 2.5, 5, 10].find((s) => s * unit >= raw);
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

function scale(low, high, from, to, log) {
  const f = log ? Math.log : (v) => v;
  const to_pixel = (v) => from + ((f(v) - f(low)) / (f(high) - f(low) || 1)) * (to - from);
  const share = (pixel) => (pixel - from) / (to - from);
  to_pixel.invert = (p) => (log ? low * (high / low) ** share(p) : low + share(p) * (high - low));
  return to_pixel;
}

function showTip(html, pageX, pageY) {
  TIP.innerHTML = html;
  TIP.hidden = false;
  const box = TIP.getBoundingClientRect(), view = document.documentElement;
  const right = pageX + 18 + box.width < view.clientWidth + scrollX;
  TIP.style.left = `${right ? pageX + 18 : Math.max(pageX - 18 - box.width, scrollX + 4)}px`;
  TIP.style.top = `${clamp(pageY - box.height / 2, scrollY + 6, Math.max(scrollY + view.clientHeight - box.height - 6, scrollY + 6))}px`;
}

const hideTip = () => (TIP.hidden = true);

/**
 * Call `read` where a pointer is over a node, and `leave` when it goes. A finger that is lifted does not go:
 * what a tap shows stays until another place is tapped, or Escape is pressed.
 */
function pointed(node, read, leave) {
  const reading = (event) => { pointed.leave = leave; pointed.node = node; read(event); };
  node.addEventListener("pointerdown", reading);
  node.addEventListener("pointermove", reading);
  node.addEventListener("pointerleave", (event) => event.pointerType === "touch" || leave());
  node.addEventListener("pointercancel", leave);
  node.addEventListener("blur", leave);
}
document.addEventListener("pointerdown", ({ target }) => pointed.node?.contains(target) || pointed.leave?.());
document.addEventListener("keydown", ({ key }) => { if (key === "Escape") { pointed.leave?.(); hideTip(); } });

function escape(text) {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
}

// ---- light and dark ------------------------------------------------------------------------

/** As the system has it, until the button is pressed; what is drawn in colours follows. */
function themed(redraw) {
  const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)");
  const set = (dark) => { root.dataset.theme = dark ? "dark" : "light"; };
  const change = (dark) => { set(dark); redraw(); };
  set(system.matches);
  system.addEventListener("change", (event) => change(event.matches));
  document.getElementById("theme").addEventListener("click", () => change(root.dataset.theme !== "dark"));
}

// ---- controls ------------------------------------------------------------------------------

function choice(name, options, settings, redraw) {
  const group = element("span", { class: "choice", role: "group", "aria-label": name });
  for (const [value, text] of options) {
    const button = element("button", { type: "button", "aria-pressed": settings[name] === value }, text);
    button.addEventListener("click", () => {
      settings[name] = value;
      for (const one of group.children) one.setAttribute("aria-pressed", one === button);
      redraw();
    });
    group.append(button);
  }
  return group;
}

function check(name, text, settings, redraw) {
  const box = element("input", { type: "checkbox" });
  box.checked = settings[name];
  box.addEventListener("change", () => { settings[name] = box.checked; redraw(); });
  return element("label", {}, box, text);
}
