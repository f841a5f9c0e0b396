"use strict";

// Sorting: a heading's button sorts its column, once more turns the order around. Cells without a number stay last.
for (const button of document.querySelectorAll("table.sortable thead button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}

function sortBy(heading) {
  const body = heading.closest("table").tBodies[0];
  const column = heading.cellIndex;
  const descending = heading.getAttribute("aria-sort") === "ascending";
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const rows = [...body.rows].map((row) => ({ row, key: keyOf(row.cells[column]) }));
  rows.sort((a, b) => compare(a.key, b.key, descending ? -1 : 1));
  body.append(...rows.map(({ row }) => row));
}

function keyOf(cell) {
  if (!("value" in cell.dataset)) return cell.textContent.trim();
  return cell.dataset.value === "" ? null : Number(cell.dataset.value);
}

function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}

// On paper nothing can be opened: everything is, and what was closed is closed again afterwards.
const paper = matchMedia("print");
let opened = [];

function follow() {
  if (paper.matches) {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const one of opened) one.open = true;
  } else {
    for (const one of opened) one.open = false;
    opened = [];
  }
}

paper.addEventListener("change", follow);
