// What is told of a page, the legend, moving about, and the controls.

// ---- what is told ----

const allocationOf = (index) => {
  const a = floor(pool.allocations, (i) => pool.allocPages[i], index);
  return a >= 0 && index < pool.allocPages[a] + Math.ceil(pool.allocSizes[a] / PAGE) ? a : -1;
};

const keptAt = (index) => {
  const k = floor(pool.kept, (i) => pool.blockPages[i], index);
  return k >= 0 && pool.blockPages[k] === index ? k : -1;
};

const pieceAt = (index, offset) => {
  const k = keptAt(index);
  if (k < 0) return -1;
  const b = pool.starts[k] + floor(pool.starts[k + 1] - pool.starts[k], (i) => pool.offsets[pool.starts[k] + i], offset);
  return b >= pool.starts[k] && offset < pool.offsets[b] + pool.sizes[b] ? b : -1;
};

// A block that lies in several pages: where it begins, and its size as far as its pages are in this file
const wholeBlock = (index, b) => {
  let page = index, piece = b, size = pool.sizes[b], whole = true;
  for (let n = 0; pool.blockMarks[piece] & B_BEFORE && n < MAX_JOINED; n += 1) {
    const k = page > 0 ? keptAt(page - 1) : -1;
    if (k < 0) { whole = false; break; }
    page -= 1;
    piece = pool.starts[k + 1] - 1;
    size += pool.sizes[piece];
  }
  let next = index, tail = b;
  for (let n = 0; pool.blockMarks[tail] & B_ON && n < MAX_JOINED; n += 1) {
    const k = keptAt(next + 1);
    if (k < 0) { whole = false; break; }
    next += 1;
    tail = pool.starts[k];
    size += pool.sizes[tail];
  }
  return { index: page, offset: pool.offsets[piece], size, whole };
};

const tell = () => {
  const list = $("told");
  const shown = hovered ?? (cursor >= 0 ? { index: cursor, piece: -1 } : null);
  $("told-title").textContent = hovered === null && cursor >= 0 ? "Selected page" : "Under the pointer";
  list.replaceChildren();
  const row = (name, value, mono = false) => {
    if (value === "" || value === null) return;
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    if (mono) dd.className = "mono";
    list.append(dt, dd);
  };
  if (shown === null) {
    row("", "Point at a page, or choose one with the arrow keys.");
    list.lastChild.className = "hint";
    return;
  }
  const { index, piece } = shown, kind = pool.kinds[index], live = pool.live[index];
  row("Page", address(index), true);
  row("Pool", pool.title);
  row("State", pool.classes.state[pool.class.state[index]].label);
  if (kind === BLOCKS || (kind === WHOLE && live !== UNKNOWN)) {
    row("Live", `${live.toLocaleString("en")} bytes (${((100 * live) / PAGE).toFixed(1)} %)`);
  }
  if (kind === BLOCKS && pool.gaps[index] !== UNKNOWN) row("Largest free", `${pool.gaps[index].toLocaleString("en")} bytes`);
  if (kind === BLOCKS || kind === WHOLE) {
    row(kind === WHOLE ? "Tag" : "Mostly", tagName(pool.tags[index]), true);
    row("Allocator", pool.classes.kind[pool.class.kind[index]].label);
  }
  const k = keptAt(index);
  if (k >= 0) row("Blocks", (pool.starts[k + 1] - pool.starts[k]).toLocaleString("en"));
  else if (kind === BLOCKS) row("Blocks", "not in this file: only their sum");
  const rule = () => { const line = document.createElement("div"); line.className = "rule"; list.append(line); };
  const a = kind === WHOLE ? allocationOf(index) : -1;
  if (a >= 0) {
    rule();
    row("Allocation", address(pool.allocPages[a]), true);
    row("Size", bytes(pool.allocSizes[a]));
    row("Tag", tagName(pool.allocTags[a]), true);
  }
  if (piece >= 0) {
    const marks = pool.blockMarks[piece], block = wholeBlock(index, piece);
    rule();
    row("Block", address(block.index, block.offset), true);
    row("Size", `${bytes(block.size)}${block.whole ? "" : ", or more"}`);
    row("Tag", tagName(pool.blockTags[piece]) + (marks & B_PROTECTED ? " (protected)" : ""), true);
    row("State", marks & B_FREE ? "free (the tag is its last one)" : marks & B_UNKNOWN ? "not known"
      : marks & B_WAITING ? "freed, waits in a lookaside list" : "allocated");
  }
};

const legend = () => {
  const classes = pool.classes[by], counts = new Array(classes.length).fill(0), column = pool.class[by];
  for (let i = 0; i < pool.n; i += 1) counts[column[i]] += 1;
  $("legend").replaceChildren(...classes.flatMap((one, at) => {
    if (!counts[at]) return [];
    const item = document.createElement("li"), button = document.createElement("button");
    const box = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const name = document.createElement("span"), count = document.createElement("span");
    rect.setAttribute("width", "100%");
    rect.setAttribute("height", "100%");
    rect.setAttribute("fill", css(classColour(at)));
    box.append(rect);
    box.setAttribute("aria-hidden", "true");
    name.textContent = one.label;
    count.className = "n";
    count.textContent = counts[at].toLocaleString("en");
    button.type = "button";
    button.dataset.key = one.key;
    button.title = "Click: off and on. Shift and click: only this";
    button.setAttribute("aria-pressed", String(!off[by].has(one.key)));
    button.append(box, name, count);
    button.addEventListener("click", (event) => toggle(one.key, event.shiftKey));
    item.append(button);
    return [item];
  }));
};

const toggle = (key, only) => {
  const set = off[by], others = pool.classes[by].map((one) => one.key).filter((one) => one !== key);
  if (only) {
    const alone = others.every((one) => set.has(one)) && !set.has(key);
    set.clear();
    if (!alone) others.forEach((one) => set.add(one));
  } else if (!set.delete(key)) set.add(key);
  refresh();
  $("legend").querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
};

// ---- moving ----

const fit = () => {
  layOut();
  fitScale = scale = Math.min(mapWidth() / pool.columns, height / pool.rows) * 0.985;
  x0 = y0 = 0;
};
const zoom = (factor, px = gutter() + mapWidth() / 2, py = height / 2) => {
  const wx = x0 + (px - gutter()) / scale, wy = y0 + py / scale;
  scale *= factor;
  clamp();
  x0 = wx - (px - gutter()) / scale;
  y0 = wy - py / scale;
  soon();
};
const centre = (index) => {
  const [column, row] = place(index);
  x0 = column + 0.5 - mapWidth() / scale / 2;
  y0 = row + 0.5 - height / scale / 2;
};
const show = (index, close = false) => {
  cursor = index;
  hovered = null;
  const [column, row] = place(index);
  if (close) { scale = Math.min(mapWidth(), height) * 0.97; centre(index); }
  else if (column < x0 || row < y0 || column + 1 > x0 + mapWidth() / scale || row + 1 > y0 + height / scale) centre(index);
  tell();
  soon();
};
const nextPinned = () => {
  for (let step = 1; step <= pool.n; step += 1) {
    const index = (Math.max(cursor, -1) + step) % pool.n;
    if (pool.marks[index] & PINNED && (pool.held === null || pool.held[index])) { show(index); return; }
  }
};
const refresh = () => { paint(); legend(); tell(); soon(); };

const point = (event) => {
  const box = canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
  const wx = x0 + (px - gutter()) / scale, wy = y0 + py / scale;
  const index = px < gutter() ? -1 : indexAt(Math.floor(wx), Math.floor(wy));
  if (index < 0) return null;
  const fx = wx - Math.floor(wx), fy = wy - Math.floor(wy);
  const offset = Math.floor(fy * LINES) * LINE + Math.floor(fx * LINE);
  return { index, piece: scale >= BLOCKS_FROM ? pieceAt(index, offset) : -1 };
};

let drag = null;
canvas.addEventListener("pointerdown", (event) => {
  drag = { x: event.clientX, y: event.clientY, x0, y0, moved: false };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  if (pool === null) return;
  if (drag !== null) {
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    if (drag.moved || Math.hypot(dx, dy) > 4) {
      drag.moved = true;
      canvas.classList.add("dragged");
      x0 = drag.x0 - dx / scale;
      y0 = drag.y0 - dy / scale;
      hovered = null;
      soon();
      return;
    }
  }
  hovered = point(event);
  tell();
  soon();
});
const released = (event) => {
  if (drag !== null && !drag.moved && pool !== null && event.type === "pointerup") {
    const found = point(event);
    if (found !== null) cursor = found.index;
    tell();
    soon();
  }
  drag = null;
  canvas.classList.remove("dragged");
};
canvas.addEventListener("pointerup", released);
canvas.addEventListener("pointercancel", released);
canvas.addEventListener("pointerleave", () => { if (drag === null && pool !== null) { hovered = null; tell(); soon(); } });
canvas.addEventListener("dblclick", (event) => { const found = point(event); if (found !== null) show(found.index, true); });
canvas.addEventListener("wheel", (event) => {
  if (pool === null) return;
  event.preventDefault();
  const box = canvas.getBoundingClientRect();
  const lines = event.deltaMode === 1 ? 33 : 1;
  zoom(Math.exp(-event.deltaY * lines * 0.0018), event.clientX - box.left, event.clientY - box.top);
  hovered = point(event);
  tell();
}, { passive: false });

const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener("keydown", (event) => {
  if (pool === null || event.ctrlKey || event.metaKey || event.altKey) return;
  const arrow = arrows[event.key];
  if (arrow && event.shiftKey) { x0 += (arrow[0] * 60) / scale; y0 += (arrow[1] * 60) / scale; soon(); }
  else if (arrow) {
    const next = cursor < 0 ? 0 : cursor + arrow[0] + arrow[1] * pool.columns;
    show(Math.min(Math.max(next, 0), pool.n - 1));
  } else if (event.key === "+" || event.key === "=") zoom(1.5);
  else if (event.key === "-" || event.key === "_") zoom(1 / 1.5);
  else if (event.key === "0" || event.key === "Escape") { fit(); soon(); }
  else if (event.key === "Enter") show(Math.max(cursor, 0), true);
  else if (event.key === "n") nextPinned();
  else return;
  event.preventDefault();
});

// ---- controls ----

$("zoom-in").addEventListener("click", () => zoom(1.7));
$("zoom-out").addEventListener("click", () => zoom(1 / 1.7));
$("fit").addEventListener("click", () => { fit(); paint(); soon(); });
$("to-page").addEventListener("click", () => show(cursor >= 0 ? cursor : Math.max(0, indexAt(Math.floor(x0 + mapWidth() / scale / 2), Math.floor(y0 + height / scale / 2))), true));
$("next-pinned").addEventListener("click", nextPinned);
$("by").addEventListener("change", (event) => { by = event.target.value; refresh(); });
$("find").addEventListener("input", (event) => {
  const text = event.target.value;
  wanted = text === "" ? -1 : meta.tags.indexOf(text);
  event.target.setAttribute("aria-invalid", String(text !== "" && wanted < 0));
  refresh();
});
$("go").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  const text = event.target.value.replaceAll("`", "").trim().replace(/^0x/i, "");
  let index = -1;
  if (/^[0-9a-f]{1,16}$/i.test(text)) {
    const page = Number(BigInt(`0x${text}`) >> 12n);
    const area = pool.areas.find((one) => page >= one.page && page < one.page + one.pages);
    if (area) index = area.first + page - area.page;
  }
  event.target.setAttribute("aria-invalid", String(index < 0));
  if (index >= 0) { show(index, true); canvas.focus(); }
});

const choose = async (number) => {
  for (const tab of document.querySelectorAll(".tabs button")) {
    tab.setAttribute("aria-selected", String(tab.dataset.pool === String(number)));
    $(`summary-${tab.dataset.pool}`).toggleAttribute("data-later", tab.dataset.pool !== String(number));
  }
  pool = null;
  pool = await load(number);
  cursor = -1;
  hovered = null;
  $("next-pinned").disabled = !pool.marks.some((mark) => mark & PINNED);
  fit();
  refresh();
  canvas.dataset.ready = String(number);
};
for (const tab of document.querySelectorAll(".tabs button")) {
  tab.addEventListener("click", () => choose(Number(tab.dataset.pool)));
}

const measure = () => {
  const box = canvas.parentElement.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  width = box.width - 2;
  height = box.height - 2;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
};
new ResizeObserver(() => {
  const whole = Math.abs(scale - fitScale) < fitScale * 0.01;
  measure();
  if (pool === null) return;
  if (whole) { fit(); paint(); }
  soon();
}).observe(canvas.parentElement);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); if (pool !== null) refresh(); });

document.documentElement.classList.add("js");
$("by").value = by;
$("all-tags").replaceChildren(...meta.tags.slice(0, MAX_NAMES).map((tag) => {
  const option = document.createElement("option");
  option.value = tag;
  return option;
}));
$("find").parentElement.hidden = meta.tags.length === 0; // a debugger's map knows no tags
if (meta.chosen !== null) {
  $("find").value = meta.chosen;
  wanted = meta.tags.indexOf(meta.chosen);
}
if (typeof DecompressionStream === "undefined") {
  $("scale").textContent = "This browser is too old to open the map: any from 2023 on can.";
} else if (meta.pools.length > 0) {
  measure();
  readColours();
  choose(0).catch((error) => { $("scale").textContent = `The map could not be opened: ${error.message}`; });
}
