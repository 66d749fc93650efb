"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const col = data.columns;
  const PAGE = 60, STRIP = 12;
  const SVG = "http://www.w3.org/2000/svg"; // a name: nothing is fetched
  const $ = (id) => document.getElementById(id);

  // ---- small tools ----

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text; // never as HTML: names are the user's
    return element;
  }

  function draw(tag, attributes, text) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const scores = col.score.filter((s) => s !== null);
  const places = (() => { // digits after the point, from the errors
    const known = col.standard_error.filter((e) => e).sort((a, b) => a - b);
    const size = known.length ? known[known.length >> 1] : scores.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-9) / 20;
    return Math.min(8, Math.max(0, Math.ceil(Math.log10(3 / size))));
  })();
  const number = (v, digits = places) => { // with a true minus, and no -0.000
    if (v === null || v === undefined) return "unknown";
    const text = Math.abs(v).toFixed(digits);
    return v < 0 && Number(text) ? `\u2212${text}` : text;
  };
  const plainly = (v) => String(v).replaceAll("-", "\u2212"); // digits as they are stored
  const several = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
  const probability = (p) =>
    p === null ? "unknown" : p < 0.01 ? "<0.01" : p > 0.99 ? ">0.99" : p.toFixed(2); // simulated
  const between = (low, high, digits) =>
    low === null || low === undefined ? "unknown" : `${number(low, digits)} to ${number(high, digits)}`;
  const classOf = (row) => (data.classes ? data.classes[data.class_of[row]] : null);

  const nameOf = (row) => (data.names ? data.names[row] : `row ${row}`);

  // ---- a row as a picture ----

  function tile(kind, i) {
    const at = data[kind], sheet = Math.floor(i / at.each), inside = i % at.each;
    const lines = at.lines[sheet], x = inside % at.columns, y = Math.floor(inside / at.columns);
    const span = make("span", `thumb ${kind}-${sheet}` + (Math.max(at.width, at.height) <= 40 ? " crisp" : ""));
    span.style.aspectRatio = `${at.width} / ${at.height}`;
    span.style.backgroundSize = `${at.columns * 100}% ${lines * 100}%`;
    span.style.backgroundPosition =
      `${at.columns > 1 ? (x / (at.columns - 1)) * 100 : 0}% ${lines > 1 ? (y / (lines - 1)) * 100 : 0}%`;
    return span;
  }

  const lines = data.kind === "series" ? { row: bytes(data.lines), view: bytes(data.view_lines) } : null;

  function outline(kind, i) {
    const { channels, points } = data;
    const svg = draw("svg", { viewBox: "0 0 96 48", class: "plot", "aria-hidden": "true" });
    for (let c = 0; c < channels; c++) {
      const from = (i * channels + c) * points, part = [];
      for (let p = 0; p < points; p++) {
        const x = 3 + (90 * p) / Math.max(points - 1, 1), y = 45 - (42 * lines[kind][from + p]) / 255;
        part.push(`${x.toFixed(1)},${y.toFixed(1)}`);
      }
      svg.append(draw("polyline", { points: part.join(" "), class: `line-${c}` }));
    }
    return svg;
  }

  function values(row, count) {
    const box = make("span", "features");
    data.picked[row].slice(0, count).forEach((feature, i) => {
      const line = make("span");
      line.append(make("span", "key", data.features[feature]));
      line.append(make("span", "value", plainly(data.values[row][i])));
      box.append(line);
    });
    return box;
  }

  function portrait(row) {
    if (data.kind === "image") return tile("thumb", row);
    return data.kind === "series" ? outline("row", row) : values(row, 3);
  }

  // ---- cells, strips and the grid ----

  function cell(row, order) {
    const button = make("button", "cell");
    button.type = "button";
    button.dataset.row = row;
    button.append(portrait(row));
    const score = make("span", "score");
    score.append(make("span", "hidden", "Score "), number(col.score[row]));
    const interval = make("span", "interval");
    if (col.posterior_low[row] !== null)
      interval.append(make("span", "hidden", "posterior interval "), `[${number(col.posterior_low[row])}, ${number(col.posterior_high[row])}]`);
    const sure = make("span", "sure");
    if (col.top_k_probability[row] !== null)
      sure.append(`top ${data.top_k}: ${probability(col.top_k_probability[row])}`);
    const name = nameOf(row).replace(/^.*[\\/](?=.)/, ""); // of a path the end, which tells rows apart
    const parts = data.classes ? [name, classOf(row)] : [name];
    const tag = make("span", "tag", (data.names ? parts.reverse() : parts).join(" · ")); // the end may be cut
    tag.title = nameOf(row);
    button.append(score, interval, sure, tag);
    button.addEventListener("click", () => open(row, order(), button));
    const item = make("li");
    item.append(button);
    return item;
  }

  const all = Array.from({ length: data.n }, (_, i) => i);
  const key = (name) => (row) => col[name][row];

  function sorted(rows, name) {
    const up = name.startsWith("-"), column = name.replace("-", "");
    const by = column === "class" ? key("score") : key(column);
    const compare = (a, b) => {
      if (column === "class" && data.class_of[a] !== data.class_of[b]) return data.class_of[a] - data.class_of[b];
      const x = by(a), y = by(b);
      if (x === null || y === null) return (x === null) - (y === null) || a - b; // unknown last
      return (up ? x - y : y - x) || (col.score[b] ?? -Infinity) - (col.score[a] ?? -Infinity) || a - b;
    };
    return rows.slice().sort(compare);
  }

  const scored = all.filter((row) => col.score[row] !== null);
  for (const [id, name] of [["most", "score"], ["least", "-score"]]) {
    const rows = sorted(scored, name).slice(0, STRIP);
    $(id).append(...rows.map((row) => cell(row, () => rows)));
  }

  let shown = all, end = 0;

  function given(id) {
    const text = $(id) ? $(id).value.trim() : "";
    return text === "" || Number.isNaN(Number(text)) ? null : Number(text);
  }

  function refresh() {
    const wanted = given("class"), low = given("low"), high = given("high"), sure = given("sure");
    const find = $("find").value.trim().toLowerCase();
    const meant = /^#?\d+$/.test(find) ? Number(find.replace("#", "")) : data.n; // a row number
    const alone = meant < data.n && find.startsWith("#");
    const found = (i) => find === "" || i === meant ||
      (!alone && data.names !== null && data.names[i].toLowerCase().includes(find));
    shown = sorted(all.filter((i) =>
      (wanted === null || data.class_of[i] === wanted) &&
      (low === null || (col.score[i] !== null && col.score[i] >= low)) &&
      (high === null || (col.score[i] !== null && col.score[i] <= high)) &&
      (sure === null || (col.top_k_probability[i] !== null && col.top_k_probability[i] >= sure)) &&
      found(i)), $("sort").value);
    if (shown.includes(meant)) shown = [meant, ...shown.filter((i) => i !== meant)];
    end = 0;
    $("grid").replaceChildren();
    more();
  }

  function more() {
    const part = shown.slice(end, end + PAGE).map((row) => cell(row, () => shown));
    $("grid").append(...part);
    end += part.length;
    $("count").textContent = shown.length
      ? `Showing ${end.toLocaleString("en")} of ${shown.length.toLocaleString("en")} ` +
        (shown.length < data.n ? `sample${shown.length === 1 ? " that matches" : "s that match"}, of ${data.n.toLocaleString("en")}.` : "samples.")
      : "No sample matches: widen the filters.";
    const left = Math.min(PAGE, shown.length - end);
    $("more").hidden = left <= 0;
    $("more").textContent = `Show ${left} more`;
    return part;
  }

  $("filters").addEventListener("input", refresh);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => setTimeout(refresh));
  $("more").addEventListener("click", () => {
    const part = more();
    if (part.length) part[0].firstChild.focus(); // the button may be gone
  });
  for (const button of document.querySelectorAll("[data-class]"))
    button.addEventListener("click", () => {
      $("class").value = button.dataset.class;
      refresh();
      $("samples").scrollIntoView();
      $("class").focus({ preventScroll: true });
    });

  for (const grid of document.querySelectorAll(".grid")) {
    if (data.kind === "table") grid.classList.add("wide");
    grid.addEventListener("keydown", (event) => {
      const cells = [...grid.querySelectorAll(".cell")], at = cells.indexOf(document.activeElement);
      if (at < 0) return;
      const across = cells.filter((c) => c.offsetTop === cells[0].offsetTop).length;
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
      if (step === undefined || !cells[at + step]) return;
      event.preventDefault();
      cells[at + step].focus();
    });
  }

  // ---- one sample ----

  const dialog = $("sample");
  const starts = (() => { // where each row's dots begin
    const found = [0];
    for (let i = 0; i < data.n; i++) found.push(found[i] + data.dots.n_in[i] + data.dots.n_out[i]);
    return found;
  })();
  const dotValues = bytes(data.dots.values);
  let opener = null, list = [], current = 0;

  function open(row, order, from) {
    if (from && !dialog.contains(from)) opener = from;
    list = order;
    current = row;
    if (!dialog.open) dialog.showModal();
    fill(row);
    dialog.scrollTop = 0;
    $("sample-h").focus();
  }

  function step(by) {
    const at = list.indexOf(current) + by;
    if (list[at] !== undefined) open(list[at], list);
  }

  function fact(into, name, value, note) {
    into.append(make("dt", "", name));
    const description = make("dd", "", value);
    if (note) description.append(" ", make("span", "small", note));
    into.append(description);
  }

  function facts(row) {
    const found = make("dl");
    if (data.names) fact(found, "Name", data.names[row]);
    if (data.classes) fact(found, data.class_word === "class" ? "Class" : "Role", classOf(row));
    found.append(make("dt", "", "Score"));
    const score = make("dd");
    const error = col.standard_error[row];
    score.append(make("strong", "", number(col.score[row])), error === null ? "" : ` ± ${number(error)}`);
    if (data.shrunken) score.append(" ", make("span", "small", "shrunk towards what features of the row predict"));
    found.append(score);
    if (col.unbiased_score)
      fact(found, "Unbiased", `${number(col.unbiased_score[row])} ± ${number(col.unbiased_standard_error[row])}`, "the difference itself");
    fact(found, "Posterior", between(col.posterior_low[row], col.posterior_high[row]),
      "95%, shrunk towards the other rows: read this if you picked the row for its score");
    fact(found, "Own interval", between(col.interval_low[row], col.interval_high[row]),
      "95%, of this row's own blocks alone, which are few: read this if you named the row beforehand");
    fact(found, `Top ${data.top_k}`, probability(col.top_k_probability[row]), "probability that it belongs there");
    fact(found, "Rank", between(col.rank_low[row], col.rank_high[row], 0), `95%, of ${data.n}; 1 is the most memorized`);
    fact(found, "q value", col.q_value[row] === null ? "unknown" : col.q_value[row] < 1e-4 ? "<0.0001" : col.q_value[row].toPrecision(2), "for being above the median row");
    if (data.names) fact(found, "Row", String(row), "its number in X");
    return found;
  }

  function dots(row, width) {
    const d = data.dots, height = 136, left = 12, right = width - 12;
    const low = d.low[row], high = d.high[row], room = right - left;
    const x = (byte) => left + (room * byte) / 255;
    const svg = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
    const said = [];
    for (const [side, n, from, y, word] of [
      ["f", d.n_in[row], starts[row], 40, "saw it"],
      ["g", d.n_out[row], starts[row] + d.n_in[row], 92, "did not"],
    ]) {
      const mean = side === "f" ? col.in_alignment[row] : col.out_alignment[row];
      svg.append(draw("text", { x: left, y: y - 18 }, `${several(n, "encoder")} that ${word}, mean ${number(mean)}`));
      svg.append(draw("line", { x1: left, x2: right, y1: y, y2: y, class: "axis" }));
      for (let i = 0; i < n; i++)
        svg.append(draw("circle", { cx: x(dotValues[from + i]).toFixed(1), cy: y + (((i * 37) % 11) - 5), r: 3.5, class: side, "fill-opacity": 0.6 }));
      if (mean !== null && high > low) {
        const at = left + (room * (mean - low)) / (high - low);
        if (at >= left && at <= right) svg.append(draw("line", { x1: at, x2: at, y1: y - 11, y2: y + 11, class: "mean" }));
      }
      said.push(`${several(n, "encoder")} that ${word}: mean ${number(mean)}`);
    }
    svg.append(draw("text", { x: left, y: height - 10, class: "faint" }, `${number(low)} closer`));
    svg.append(draw("text", { x: right, y: height - 10, class: "faint", "text-anchor": "end" }, `farther ${number(high)}`));
    svg.setAttribute("aria-label", `Alignment, the distance between views. ${said.join("; ")}.`);
    const box = make("div", "chart");
    box.append(svg);
    return box;
  }

  function table(heads, rows, caption) {
    const element = make("table"), head = make("tr"), body = make("tbody");
    element.append(make("caption", "hidden", caption));
    for (const text of heads) {
      const th = make("th", text === heads[0] ? "" : "num", text);
      th.scope = "col";
      head.append(th);
    }
    for (const cells of rows) {
      const line = make("tr");
      cells.forEach(([text, className], i) => {
        const one = make(i ? "td" : "th", i ? `num ${className || ""}` : "", text);
        if (!i) one.scope = "row";
        line.append(one);
      });
      body.append(line);
    }
    const top = make("thead");
    top.append(head);
    element.append(top, body);
    const box = make("div", "scroll");
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", caption);
    box.append(element);
    return box;
  }

  function views(row) {
    const at = data.view_rows.indexOf(row), many = data.n_views;
    if (at < 0)
      return make("p", "hint", `Views are kept for the ${data.view_rows.length} most and least memorized rows only.`);
    if (data.kind === "table") {
      const heads = ["Column", "Row", ...Array.from({ length: many }, (_, v) => `View ${v + 1}`)];
      const rows = data.picked[row].map((feature, i) => [
        [data.features[feature]], [plainly(data.values[row][i])],
        ...Array.from({ length: many }, (_, v) => {
          const value = data.view_values[at][v][i];
          return [plainly(value), value === data.values[row][i] ? "" : "changed-value"];
        }),
      ]);
      return table(heads, rows, "Views of the row; values that differ from the row's are bold");
    }
    const found = make("ul", "views");
    found.setAttribute("role", "list");
    for (let v = 0; v < many; v++) {
      const item = make("li");
      item.append(make("span", "hidden", `View ${v + 1}`), data.kind === "image" ? tile("view", at * many + v) : outline("view", at * many + v));
      found.append(item);
    }
    return found;
  }

  function fill(row) {
    const name = classOf(row), body = $("body"), at = list.indexOf(row);
    const [title, of] = $("sample-h").children;
    title.textContent = data.names ? data.names[row] : `Row ${row}`;
    of.textContent = name === null ? "" : ` ${data.class_word} ${name}`; // the space is for ears
    $("previous").disabled = at <= 0;
    $("next").disabled = at < 0 || at === list.length - 1;
    body.replaceChildren();
    const top = make("div", data.kind === "table" ? "facts alone" : "facts");
    if (data.kind !== "table") {
      const box = make("div", "portrait");
      box.append(portrait(row));
      top.append(box);
    }
    top.append(facts(row));
    body.append(top);
    if (data.kind === "table") {
      body.append(make("h3", "", "Where it deviates most"));
      body.append(table(["Column", "Value", "From the mean, in SD"], data.picked[row].map((feature, i) => [
        [data.features[feature]], [plainly(data.values[row][i])], [number(data.deviations[row][i], 2)],
      ]), "Columns in which the row lies farthest from the mean"));
    }
    body.append(make("h3", "", "Alignment, encoder by encoder"));
    body.append(dots(row, Math.max(260, body.clientWidth - 38)));
    body.append(make("p", "hint", "A dot is an encoder, a bar their mean. A memorized row's views lie closer together under encoders that saw it." +
      (data.dots.thinned ? " At most 100 encoders a side are drawn." : "")));
    body.append(make("h3", "", "Views"));
    body.append(views(row));
    if (data.view_rows.includes(row)) body.append(make("p", "hint", "Fresh draws of the augmentation."));
    body.append(make("h3", "", "Neighbours in representation space"));
    const near = make("ul", data.kind === "table" ? "grid wide" : "grid");
    near.setAttribute("role", "list");
    data.neighbours[row].forEach((other, i) => {
      const item = cell(other, () => list);
      item.firstChild.querySelector(".sure").textContent = `distance ${data.distances[row][i].toFixed(3)}`;
      near.append(item);
    });
    body.append(near);
    body.append(make("p", "hint", "Nearest rows by Euclidean distance between unit representations of an encoder trained on all rows."));
  }

  $("close").addEventListener("click", () => dialog.close());
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => { // Safari gives no focus to a clicked button, and none back
    const back = opener && opener.isConnected ? opener : document.querySelector(".cell");
    if (back) back.focus();
    opener = null;
  });

  // ---- theme and download ----

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const label = () => { $("theme").textContent = isDark() ? "Light theme" : "Dark theme"; };
  $("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    label();
  });
  dark.addEventListener("change", label);
  label();

  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  function csv() {
    const names = Object.keys(col), lines = [];
    if (data.classes && data.class_word === "class") names.splice(1, 0, "class");
    if (data.names) names.splice(1, 0, "name");
    lines.push(names.join(","));
    for (const row of all)
      lines.push(names.map((name) => {
        const value = name === "class" ? classOf(row) : name === "name" ? nameOf(row) : col[name][row];
        return value === null ? "nan" : quoted(String(value));
      }).join(","));
    return lines.join("\r\n") + "\r\n";
  }

  $("csv").addEventListener("click", () => {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = "memorization.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  $("theme").hidden = $("csv").hidden = false;

  refresh();
})();
