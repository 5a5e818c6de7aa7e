// Tables that sort by any column: the header's button, by mouse or keyboard. Without scripts they are as written.
"use strict";

function figure(text) {
  const cleaned = text.trim().replace("−", "-").replace("↑", "").replace(/^↓/, "-");
  const found = cleaned.match(/^[+-]?\d+(\.\d+)?/);
  return found ? Number(found[0]) : null;
}

function sortBy(header) {
  const table = header.closest("table");
  const place = header.cellIndex;
  const number = !header.classList.contains("t");
  const ascending = header.getAttribute("aria-sort") !== "ascending";
  const read = row => number ? figure(row.cells[place].textContent) : row.cells[place].textContent.trim() || null;
  const rows = [...table.tBodies[0].rows].map(row => [read(row), row]);
  rows.sort(([left], [right]) => {
    if (left === null || right === null) return (left === null) - (right === null);
    const order = number ? left - right : left.localeCompare(right, "zh-CN");
    return ascending ? order : -order;
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
}

for (const table of document.querySelectorAll("table")) {
  if (table.tBodies[0].rows.length < 2) continue;
  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sortBy(header));
    header.append(button);
  }
}

// A list of periods that is open closes with Escape or a click elsewhere.
for (const list of document.querySelectorAll("details.periods")) {
  document.addEventListener("click", event => { if (!list.contains(event.target)) list.open = false; });
  list.addEventListener("keydown", event => {
    if (event.key === "Escape") { list.open = false; list.querySelector("summary").focus(); }
  });
}

// On paper everything is unfolded, and folded again afterwards.
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("main details:not([open])")];
  for (const each of unfolded) each.open = true;
});
addEventListener("afterprint", () => { for (const each of unfolded) each.open = false; });
