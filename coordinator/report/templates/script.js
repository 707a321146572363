"use strict";
for (const time of document.querySelectorAll("time")) {
  const moment = new Date(time.dateTime);
  const local = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  if (!isNaN(moment) && moment.getTimezoneOffset()) time.append(" (" + local + " for you)");
}
const compare = (one, other) => {
  const [a, b] = [one, other].map(cell => cell.dataset.v ?? cell.textContent.trim());
  return a - b || (isNaN(a) || isNaN(b) ? a.localeCompare(b) : 0);
};
for (const head of document.querySelectorAll("table[data-sort] thead th")) {
  if (!head.textContent.trim()) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const each of head.parentNode.children) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = head.closest("table").tBodies[0];
    const rows = [...body.rows].sort((a, b) => compare(a.cells[head.cellIndex], b.cells[head.cellIndex]));
    body.append(...(down ? rows.reverse() : rows));
  });
}
const refresh = document.getElementById("refresh");
if (refresh) {
  let paused = false;
  setInterval(() => paused || document.querySelector("details.by-hand[open]") || location.reload(), refresh.dataset.s * 1000);
  refresh.hidden = false;
  refresh.addEventListener("click", () => {
    paused = !paused;
    refresh.setAttribute("aria-pressed", paused);
    refresh.textContent = paused ? "Reload every " + refresh.dataset.s + " s" : "Stop reloading";
  });
}
