"use strict";
// The levers of the report page. All numbers come from the page's own data: exact counts at each
// listed cut-off, and each bin's reading as text. Names are in the page already, as text.
(() => {
  const element = (id) => document.getElementById(id);
  const source = element("levers-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  for (const part of document.querySelectorAll(".lever")) part.hidden = false;

  // -- numbers as the tables of the page and of the terminal write them ---------------------------

  // Four decimals of the exact value, halves to even: toFixed alone rounds them up.
  const four = (x) => {
    const up = x.toFixed(4);
    const exact = Math.abs(x).toFixed(20);
    const tail = exact.slice(exact.indexOf(".") + 5);
    if (!/^50*$/.test(tail)) return up;
    const cut = exact.slice(0, exact.indexOf(".") + 5);
    return Number(cut.at(-1)) % 2 ? up : (x < 0 ? "-" : "") + cut;
  };
  const scientific = (x, digits) =>
    x.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2");
  const metric = (x) => {
    if (x === null || !Number.isFinite(x)) return "-";
    if (x !== 0 && Math.abs(x) < 0.00005) return scientific(x, 1);
    if (x >= 0.99995 && x < 1) return ">0.9999";
    return Math.abs(x) < 1e6 ? four(x) : scientific(x, 4);
  };
  const count = (x) => (Number.isInteger(x) ? String(x) : x.toFixed(1));
  const short = (x) => String(Number(x.toPrecision(6)));
  const ratio = (part, whole) => (whole ? part / whole : null);
  const percent = (x) => (x === null ? "no rows" : `${(100 * x).toFixed(1)}%`);
  const write = (id, text) => {
    const place = element(id);
    if (place.textContent !== text) place.textContent = text;
  };

  // A screen reader hears where the lever came to rest, not every step of the way.
  const announcer = (id) => {
    let timer = 0;
    return (text) => {
      clearTimeout(timer);
      timer = setTimeout(() => write(id, text), 400);
    };
  };
  const firstAtLeast = (sorted, x) => {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < x) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  // -- the cut-off ----------------------------------------------------------------------------------

  const cutoffLever = ({ slices, start }) => {
    const rows = element("cut-rows");
    const slider = element("cut-slider");
    const typed = element("cut-at");
    const costs = ["tp", "fp", "fn", "tn"].map((name) => element(`cost-${name}`));
    const say = announcer("cut-said");
    let wanted = start;

    const chosen = () => slices[Number(rows.value)];
    const counts = (slice, i) => {
      const [tp, fp] = [slice.tp[i], slice.fp[i]];
      return [tp, fp, slice.positives - tp, slice.negatives - fp];
    };
    const prices = () => costs.map((input) => (input.value === "" ? NaN : Number(input.value)));
    const costOf = (four, price) =>
      four.reduce((sum, n, k) => sum + (n && n * price[k]), 0) / four.reduce((a, b) => a + b, 0);
    const nearest = ({ threshold }, x) => {
      const above = Math.min(firstAtLeast(threshold, x), threshold.length - 1);
      const below = Math.max(above - 1, 0);
      return x - threshold[below] < threshold[above] - x ? below : above;
    };
    const placeOf = (slice, x) =>
      slice.every
        ? Math.min(firstAtLeast(slice.threshold, x), slice.threshold.length - 1)
        : nearest(slice, x);

    const show = () => {
      const slice = chosen();
      const i = placeOf(slice, wanted);
      const at = slice.threshold[i];
      // Between two listed scores the same rows are positive as at the next score.
      const used = slice.every ? wanted : at;
      const all = counts(slice, i);
      const [tp, fp, fn, tn] = all;
      const total = tp + fp + fn + tn;
      slider.max = slice.threshold.length - 1;
      slider.value = i;
      slider.setAttribute("aria-valuetext", short(used));
      for (const [name, n, of, label] of [
        ["tp", tp, tp + fn, "label 1"],
        ["fn", fn, tp + fn, "label 1"],
        ["fp", fp, fp + tn, "label 0"],
        ["tn", tn, fp + tn, "label 0"],
      ]) {
        const share = ratio(n, of);
        write(`cut-${name}`, count(n));
        write(`cut-${name}-share`, share === null ? "no rows" : `${percent(share)} of ${label}`);
        element(`cell-${name}`).style.setProperty("--share", String(share ?? 0));
      }
      const figures = {
        precision: ratio(tp, tp + fp),
        recall: ratio(tp, tp + fn),
        f1: ratio(2 * tp, 2 * tp + fp + fn),
        specificity: ratio(tn, tn + fp),
        fpr: ratio(fp, tn + fp),
      };
      for (const [name, value] of Object.entries(figures)) write(`cut-${name}`, metric(value));
      write("cut-alerts", `${count(tp + fp)} of ${count(total)} (${percent(ratio(tp + fp, total))})`);
      const each = costOf(all, prices());
      write("cut-cost", metric(each));
      write("cut-total", Number.isFinite(each) ? short(each * total) : "-");
      const told = slice.every
        ? "Every distinct score is a step: the counts are exact at any cut-off."
        : `Counts are exact at ${slice.threshold.length} listed cut-offs; the lever goes to the nearest.`;
      write("cut-used", `Used: >= ${used}. ${told}`);
      say(
        `Cut-off ${short(used)}: precision ${metric(figures.precision)}, recall ` +
          `${metric(figures.recall)}, F1 ${metric(figures.f1)}, ${count(tp + fp)} alerts, cost ` +
          `${metric(each)} per row`,
      );
    };
    const go = (x) => {
      wanted = x;
      typed.value = String(x);
      show();
    };
    slider.addEventListener("input", () => go(chosen().threshold[Number(slider.value)]));
    typed.addEventListener("input", () => {
      const x = Number(typed.value);
      if (typed.value === "" || Number.isNaN(x)) return;
      wanted = x;
      show();
    });
    rows.addEventListener("change", show);
    for (const input of costs) input.addEventListener("input", show);
    element("cut-cheapest").addEventListener("click", () => {
      const slice = chosen();
      const price = prices();
      let [best, least] = [0, Infinity];
      for (let i = 0; i < slice.threshold.length; i += 1) {
        const cost = costOf(counts(slice, i), price);
        if (cost < least) [best, least] = [i, cost];
      }
      if (least < Infinity) go(slice.threshold[best]);
    });
    element("cut-reset").addEventListener("click", () => go(start));
    go(start);
  };

  // -- the confidence -------------------------------------------------------------------------------

  // A gap of almost one is written as ">0.9999".
  const size = (gap) => Math.abs(Number(gap)) || 1;
  const VERDICTS = ["no data", "within tolerance", "over-confident", "under-confident"];

  const confidenceLever = ({ start, closed, edges, slices }) => {
    const slider = element("read-slider");
    const typed = element("read-at");
    const stages = [...document.querySelectorAll('input[name="read-stage"]')];
    const body = element("read-rows");
    const say = announcer("read-said");
    const lines = [...body.rows];
    let at = start;

    // The bin that holds x: (low, high], and the first also its lower end; or [low, high).
    const binOf = ({ low, high }, x) => {
      let found = -1;
      for (let b = 0; b < low.length; b += 1) {
        if (low[b] <= x && x <= high[b]) {
          if (closed === "right") return b;
          found = b;
        }
      }
      return found;
    };
    const show = () => {
      const stage = Number(stages.find((input) => input.checked)?.value ?? 0);
      slider.value = at;
      slider.setAttribute("aria-valuetext", short(at));
      let worst = null;
      lines.forEach((line, place) => {
        const side = slices[place][stage] ?? slices[place][0];
        const b = binOf(side.edges ?? edges, at);
        const [n, score, right, gap, verdict, sure] = (b >= 0 && side.bins[b]) || [0, "-", "-", "-", 0, 0];
        const cells = line.cells;
        const texts = [count(n), score, right, gap, side.ece];
        texts.forEach((text, k) => {
          cells[k + 1].textContent = text;
        });
        cells[6].textContent = VERDICTS[verdict] + (verdict > 1 && !sure ? " (may be chance)" : "");
        line.classList.toggle("off", Boolean(verdict > 1 && sure));
        line.classList.remove("worst");
        // All rows together are no slice to blame, unless there is nothing else.
        const mayBeWorst = place > 0 || lines.length === 1;
        if (mayBeWorst && verdict > 1 && sure && (!worst || size(gap) > worst.size)) {
          worst = { line, size: size(gap), gap, verdict, n, place };
        }
      });
      if (worst) {
        worst.line.classList.add("worst");
        worst.line.cells[6].textContent += ": the worst";
      }
      const name = worst && worst.line.cells[0].textContent;
      const told = worst
        ? `At ${short(at)} the worst is ${name}: ${VERDICTS[worst.verdict]}, gap ${worst.gap} on ${count(worst.n)} rows.`
        : `At ${short(at)} no gap is beyond both the tolerance and chance.`;
      write("read-worst", told);
      say(told);
    };
    const go = (x) => {
      at = Math.min(Math.max(x, 0), 1);
      show();
    };
    slider.addEventListener("input", () => {
      typed.value = slider.value;
      go(Number(slider.value));
    });
    typed.addEventListener("input", () => {
      if (typed.value !== "" && !Number.isNaN(Number(typed.value))) go(Number(typed.value));
    });
    for (const input of stages) input.addEventListener("change", show);
    const more = element("read-more");
    more?.addEventListener("click", () => {
      const open = more.getAttribute("aria-expanded") !== "true";
      more.setAttribute("aria-expanded", String(open));
      element("read-table").classList.toggle("all", open);
    });
    typed.value = String(start);
    show();
  };

  if (data.cut) cutoffLever(data.cut);
  if (data.read) confidenceLever(data.read);
})();
