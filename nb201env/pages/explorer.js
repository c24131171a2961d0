// The explorer's page: one chart of the space, and its theme.

const drawSpace = spaceChart(document.getElementById("space"), { space: DATA.space });

function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  hideTip();
  drawSpace();
}

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", (event) => theme(event.matches));
document.getElementById("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme !== "dark"));
addEventListener("resize", drawSpace);
let onScreen = null; // paper is light
addEventListener("beforeprint", () => { onScreen = document.documentElement.dataset.theme; theme(false); });
addEventListener("afterprint", () => theme(onScreen === "dark"));
theme(dark.matches);
