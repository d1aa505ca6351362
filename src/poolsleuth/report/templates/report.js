"use strict";
(() => {
  document.documentElement.classList.add("js");

  // ---- copy a command -----------------------------------------------------------------------------------------
  const select = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };
  const copy = async (code) => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      return true;
    } catch {
      // A page from a file may not be allowed to: select the text, so that the keyboard can copy it.
      select(code);
      try { return document.execCommand("copy"); } catch { return false; }
    }
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const done = await copy(button.parentElement.querySelector("code"));
    button.textContent = done ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });

  // ---- sort and filter a table --------------------------------------------------------------------------------
  const number = (text) => {
    const value = parseFloat(text.replaceAll(",", ""));
    return Number.isNaN(value) ? null : value;
  };
  const sort = (table, column, header) => {
    const numeric = header.dataset.kind === "number";
    // The largest is wanted first, and the alphabet from its beginning.
    const before = header.getAttribute("aria-sort");
    const down = before === "none" ? numeric : before === "ascending";
    for (const other of table.tHead.rows[0].cells) {
      if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    }
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => {
      const text = row.cells[column].textContent.trim();
      return { row, key: numeric ? number(text) : text.toLowerCase() || null };
    });
    const sign = down ? -1 : 1;
    rows.sort((a, b) => {
      // What is not known stays at the end, whichever way the rest goes.
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      return a.key < b.key ? -sign : a.key > b.key ? sign : 0;
    });
    body.append(...rows.map((entry) => entry.row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
      if (!header.dataset.kind) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sort(table, column, header));
    });
  }
  for (const input of document.querySelectorAll(".filter input")) {
    const section = input.closest("section");
    const rows = Array.from(section.querySelectorAll("tbody tr"));
    // Words are looked for in words only: a "3" in somebody's byte count is no match for tag "Io3".
    const heads = Array.from(section.querySelectorAll("thead th"), (head) => head.dataset.kind === "text");
    const texts = rows.map((row) => Array.from(row.cells)
      .filter((_, i) => heads[i]).map((cell) => cell.textContent.toLowerCase()).join("\n"));
    const output = section.querySelector("output");
    const apply = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, i) => {
        row.hidden = !words.every((word) => texts[i].includes(word));
        if (!row.hidden) shown += 1;
      });
      const all = `${rows.length.toLocaleString("en")} rows`;
      output.textContent = words.length ? `${shown.toLocaleString("en")} of ${all}` : all;
    };
    input.addEventListener("input", apply);
    apply();
  }

  // ---- paper shows everything ---------------------------------------------------------------------------------
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = Array.from(document.querySelectorAll("details:not([open])"));
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
  });
})();
