"use strict";
document.documentElement.classList.add("js");

// Sorting: a button in every head of a sortable table; numbers by value, text by alphabet, gaps last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.cells[column];
        const text = cell.textContent.trim();
        return "value" in cell.dataset ? Number(cell.dataset.value.replace("inf", "Infinity")) : text === "–" ? "" : text;
      };
      const order = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const by = typeof x === "number" && typeof y === "number" ? (x > y) - (x < y) : String(x).localeCompare(String(y), "en", { numeric: true });
        return down ? -by : by;
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
    });
  });
}

// Filtering: by the word of the row and by text.
for (const form of document.querySelectorAll("form.filter")) {
  const rows = [...document.querySelector(`table[data-table="${form.dataset.for}"]`).tBodies[0].rows];
  const [word, text, shown] = ["select", "input", "output"].map((tag) => form.querySelector(tag));
  const apply = () => {
    const wanted = text.value.trim().toLowerCase();
    for (const row of rows) {
      row.hidden = (word.value !== "" && row.dataset.filter !== word.value) || !row.textContent.toLowerCase().includes(wanted);
    }
    shown.value = `${rows.filter((row) => !row.hidden).length} of ${rows.length} shown`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}

// A link into a closed part opens it; paper cannot be clicked, so printing opens all but the data.
const reveal = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const closed = target && target.closest("details:not([open])");
  if (closed) { closed.open = true; target.scrollIntoView(); }
};
addEventListener("hashchange", reveal);
reveal();
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("section:not(#data) details")) part.open = true;
});
