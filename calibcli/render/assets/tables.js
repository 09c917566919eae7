"use strict";
// Tables of classes and groups: a heading sorts by its column, a field keeps the rows that name
// what is typed. Without this script the tables stand as they are, the worst first.
(() => {
  const make = (tag, text) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  // The text of a cell without its interval.
  const main = (cell) => {
    const text = [...cell.childNodes].filter((one) => one.nodeName !== "SMALL");
    return text.map((one) => one.textContent).join("").trim();
  };
  const number = (text) => {
    const found = /^[<>]?([-+]?[\d.]+(?:e[-+]?\d+)?)%?$/.exec(text);
    return found ? Number(found[1]) + (text[0] === ">" ? 1e-9 : text[0] === "<" ? -1e-9 : 0) : NaN;
  };
  const compared = (a, b) => {
    const [x, y] = [number(a), number(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    return a.localeCompare(b, undefined, { numeric: true });
  };
  const empty = (text) => text === "" || text === "-";

  const sorted = (table, heads, place) => {
    const head = heads[place];
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const one of heads) one.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const lines = [...body.rows].map((line) => [main(line.cells[place]), line]);
    // What has no value stays at the end either way.
    lines.sort(([a], [b]) => {
      if (empty(a) || empty(b)) return Number(empty(a)) - Number(empty(b));
      return down ? compared(b, a) : compared(a, b);
    });
    body.append(...lines.map(([, line]) => line));
  };

  const filter = (scroll, table) => {
    const tools = make("div");
    tools.className = "tools";
    const label = make("label", "Only rows that name ");
    const field = make("input");
    field.type = "search";
    label.append(field);
    const told = make("span");
    told.setAttribute("role", "status");
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      const lines = [...table.tBodies[0].rows];
      let shown = 0;
      for (const line of lines) {
        const names = [...line.cells].filter((cell) => cell.classList.contains("l"));
        line.hidden = !names.some((cell) => main(cell).toLowerCase().includes(wanted));
        shown += line.hidden ? 0 : 1;
      }
      told.textContent = wanted ? `${shown} of ${lines.length}` : "";
    });
    tools.append(label, told);
    scroll.before(tools);
  };

  for (const scroll of document.querySelectorAll(".scroll.sorts")) {
    const table = scroll.querySelector("table");
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    heads.forEach((head, place) => {
      if (head.tagName !== "TH") return;
      const button = make("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sorted(table, heads, place));
    });
    if (table.tBodies[0].rows.length > 10) filter(scroll, table);
  }
})();
