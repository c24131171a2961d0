// The explorer's page: one chart of the space.

const drawSpace = spaceChart(document.getElementById("space"), { space: DATA.space });

function redraw() {
  hideTip();
  drawSpace();
}

themed(redraw);
addEventListener("resize", drawSpace);
let onScreen = null; // paper is light
addEventListener("beforeprint", () => {
  onScreen = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  redraw();
});
addEventListener("afterprint", () => {
  document.documentElement.dataset.theme = onScreen;
  redraw();
});
redraw();
