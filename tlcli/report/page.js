// What the page can do beside being read. Without this script nothing is missing but these helps.
(() => {
  "use strict";
  const all = (css, inside = document) => [...inside.querySelectorAll(css)];
  const make = (name, properties, ...inside) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...inside);
    return element;
  };
  const data = (element, name) => JSON.parse(element.dataset[name] ?? "[]");
  const plain = cell => cell.textContent.replace(/\u2212/g, "-").replace(/\s+/g, " ").trim();
  const rows = table => [...table.tBodies[0].rows];

  // Hide arms: their marks in figures, their rows and columns in tables.
  const arms = document.getElementById("arms");
  if (arms) {
    arms.hidden = false;
    arms.addEventListener("change", ({target: box}) => {
      for (const part of all(`[data-arm="${box.value}"]`)) part.classList.toggle("off", !box.checked);
    });
  }

  // Sort a table by a column: up, down, and back to the order of the page.
  const rank = text => {
    const number = parseFloat(text.replace(/,/g, "").replace(/^(<|over|under)\s*/, ""));
    return Number.isNaN(number) ? Infinity : number;
  };
  const compare = numeric => (a, b) =>
    numeric ? rank(a) - rank(b) || 0 : a.localeCompare(b, "en", {numeric: true});
  const sortable = (table, head, column) => {
    const button = make("button", {type: "button", title: "Sort by this column"}, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = {ascending: "descending", descending: "none"}[head.ariaSort] || "ascending";
      for (const other of table.tHead.rows[0].cells) other.ariaSort = null;
      const ordered = [...table.original];
      if (next !== "none") {
        const order = compare(head.classList.contains("num"));
        const sign = next === "ascending" ? 1 : -1;
        ordered.sort((a, b) => {
          const [first, second] = [a, b].map(row => plain(row.cells[column]));
          const missing = (first === "\u2013") - (second === "\u2013");
          return missing || sign * order(first, second);
        });
        head.ariaSort = next;
      }
      table.classList.toggle("sorted", next !== "none");
      table.tBodies[0].append(...ordered);
    });
  };

  // Show the rows that hold every word; copy what is shown, for a spreadsheet.
  const LEAST_ROWS = 6;
  const filter = (table, name) => {
    const box = make("input", {type: "search", placeholder: "Filter rows", ariaLabel: `Filter rows: ${name}`});
    box.addEventListener("input", () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows(table)) {
        const text = row.textContent.toLowerCase();
        row.classList.toggle("out", !words.every(word => text.includes(word)));
      }
    });
    return box;
  };
  const copied = cell => {
    const text = plain(cell);
    if (text === "\u2013") return "";
    if (/^[+-]?[\d,]*\.?\d+$/.test(text)) return text.replace(/[,+]/g, "");
    return /^[=+\-@]/.test(text) ? `'${text}` : text;
  };
  const tsv = table => [table.tHead.rows[0], ...rows(table)]
    .filter(row => !row.matches(".off, .out"))
    .map(row => [...row.cells].filter(cell => !cell.matches(".off")).map(copied).join("\t"))
    .join("\n") + "\n";
  const copyButton = (table, name) => {
    const button = make("button", {type: "button", ariaLabel: `Copy ${name}`}, "Copy");
    const tell = text => {
      button.textContent = text;
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    };
    button.addEventListener("click", () =>
      navigator.clipboard.writeText(tsv(table)).then(() => tell("Copied"), () => tell("Not copied")));
    return button;
  };
  for (const table of all("table")) {
    table.original = rows(table);
    [...table.tHead.rows[0].cells].forEach((head, column) => sortable(table, head, column));
    const caption = document.getElementById(table.getAttribute("aria-labelledby"));
    const name = caption.querySelector("b").textContent.replace(/\.$/, "");
    const tools = make("span", {className: "tools"});
    // Browsers give no clipboard to a page that came over plain HTTP.
    if (navigator.clipboard) tools.append(copyButton(table, name));
    if (table.original.length >= LEAST_ROWS) tools.append(filter(table, name));
    caption.append(" ", tools);
  }

  // Pictures stand in one sheet for each figure.
  const sheetOf = figure => {
    if (!figure.sheet && figure.dataset.sheet) {
      figure.sheet = data(figure, "sheet");
      figure.sheet.image = Object.assign(new Image(), {src: figure.sheet.source});
    }
    return figure.sheet;
  };
  const picture = ({image, across, width, height}, index) => {
    const canvas = make("canvas", {width, height});
    const [x, y] = [width * (index % across), height * Math.floor(index / across)];
    const draw = () => canvas.getContext("2d").drawImage(image, x, y, width, height, 0, 0, width, height);
    image.decode().then(draw);
    return canvas;
  };

  // The value of the mark nearest to the pointer, and the image behind a point of a map.
  const tip = document.body.appendChild(make("div", {className: "tip", hidden: true}));
  const NEAR = 14;
  for (const group of all("[data-tips]")) {
    const [tips, images] = [data(group, "tips"), data(group, "images")];
    all("use", group).forEach((mark, i) => {
      if (tips.length) Object.assign(mark, {tip: tips[Math.min(i, tips.length - 1)], image: images[i]});
    });
  }
  const nearest = (svg, x, y) => {
    let [found, least] = [null, NEAR];
    for (const mark of all("use", svg)) {
      if (!mark.tip) continue;
      const box = mark.getBoundingClientRect();
      const distance = Math.hypot(box.x + box.width / 2 - x, box.y + box.height / 2 - y);
      if (box.width && distance < least) [found, least] = [mark, distance];
    }
    return found;
  };
  const tell = event => {
    const svg = event.target.closest?.("figure svg");
    const mark = svg && nearest(svg, event.clientX, event.clientY);
    tip.hidden = !mark;
    if (!mark) return;
    const sheet = sheetOf(svg.closest("figure"));
    const shown = sheet && mark.image !== undefined ? [picture(sheet, mark.image)] : [];
    tip.replaceChildren(...shown, make("span", {}, mark.tip));
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 4);
    tip.style.transform = `translate(${Math.max(4, left)}px, ${event.clientY + 14}px)`;
  };
  for (const kind of ["pointermove", "pointerdown"]) document.addEventListener(kind, tell);

  // The images that one arm gets right and another wrong, for any two.
  const chooser = (label, names, chosen) => {
    const list = make("select", {}, ...names.map((name, i) => make("option", {value: i}, name)));
    list.value = chosen;
    return [make("label", {}, `${label} `, list), list];
  };
  for (const figure of all("figure[data-pairs]")) {
    const [{classes, labels, groups}, sheet] = [data(figure, "pairs"), sheetOf(figure)];
    const [groupLabel, group] = chooser("Any two arms at", groups.map(g => g.name), 0);
    const place = make("div", {className: "pairs"});
    const tiles = make("div", {className: "tiles"});
    const told = make("p", {className: "note", role: "status"});
    const most = 40;
    const draw = (right, wrong) => {
      const {arms: cells, totals} = groups[group.value];
      const [first, second] = [cells[right.value], cells[wrong.value]];
      const found = labels.map((_, i) => i).filter(i => first.answers[i] === labels[i] &&
        second.answers[i] >= 0 && second.answers[i] !== labels[i]).slice(0, most);
      const total = totals[right.value][wrong.value];
      told.textContent = `${first.name} is right and ${second.name} wrong on ${total} test images` +
        (found.length < total ? `, of which ${found.length} are here.` : ".");
      tiles.replaceChildren(...found.map(i => make("div", {}, picture(sheet, i),
        make("span", {}, `${classes[labels[i]]} \u2192 ${classes[second.answers[i]]}`))));
    };
    const offer = () => {
      const names = groups[group.value].arms.map(cell => cell.name);
      const {first, second} = groups[group.value];
      const [rightLabel, right] = chooser("right", names, first);
      const [wrongLabel, wrong] = chooser("wrong", names, second);
      place.replaceChildren(groupLabel, rightLabel, wrongLabel);
      for (const list of [right, wrong]) list.addEventListener("change", () => draw(right, wrong));
      return [right, wrong];
    };
    group.addEventListener("change", () => draw(...offer()));
    figure.append(place, told, tiles);
    offer();
  }

  // A link to a folded section opens it, and paper has no folds.
  const unfold = () => {
    const folded = document.getElementById(location.hash.slice(1))?.querySelector("details");
    if (folded) folded.open = true;
  };
  addEventListener("hashchange", unfold);
  addEventListener("beforeprint", () => all("details").forEach(folded => { folded.open = true; }));
  unfold();
})();
