// Draws the map: a picture with one pixel for each page, scaled; from a certain size on the blocks of a page.

// ---- colours ----

const readColours = () => {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  const hex = (text) => {
    const long = text.length === 4 ? `#${[...text.slice(1)].map((c) => c + c).join("")}` : text;
    return [1, 3, 5].map((i) => parseInt(long.slice(i, i + 2), 16));
  };
  colours = {
    unused: hex(value("--unused")), gap: value("--gap"), free: hex(value("--block-free")), ink: value("--ink"),
    muted: value("--muted"), strip: value("--strip"), accent: value("--accent"), mono: value("--mono"), hex,
  };
};
const mix = (one, other, share) => one.map((v, i) => Math.round(v * (1 - share) + other[i] * share));
const css = (rgb) => `rgb(${rgb[0]} ${rgb[1]} ${rgb[2]})`;
const dimmed = (rgb) => mix(rgb, colours.unused, DIM);
const inkOn = (rgb) => (rgb[0] * 0.3 + rgb[1] * 0.59 + rgb[2] * 0.11 > 140 ? "#10141a" : "#ffffff");
const classColour = (index) => {
  const one = pool.classes[by][index];
  return one.key === "free" ? colours.unused : colours.hex(one.colour);
};

// Pages that hold the tag that is looked for; null where none is
const holding = () => {
  if (wanted < 0) return null;
  const found = new Uint8Array(pool.n);
  const asked = meta.chosen !== null && tagName(wanted) === meta.chosen;
  for (let i = 0; i < pool.n; i += 1) {
    if (pool.tags[i] === wanted || (asked && pool.marks[i] & CHOSEN)) found[i] = 1;
  }
  for (let k = 0; k < pool.kept; k += 1) {
    for (let b = pool.starts[k]; b < pool.starts[k + 1]; b += 1) {
      if (pool.blockTags[b] === wanted && !(pool.blockMarks[b] & B_FREE)) { found[pool.blockPages[k]] = 1; break; }
    }
  }
  return found;
};

const paint = () => {
  const canvasOf = document.createElement("canvas");
  canvasOf.width = pool.columns;
  canvasOf.height = pool.rows;
  const image = canvasOf.getContext("2d").createImageData(pool.columns, pool.rows);
  const words = new Uint32Array(image.data.buffer);
  const word = (rgb) => (255 << 24 | rgb[2] << 16 | rgb[1] << 8 | rgb[0]) >>> 0;
  const classes = pool.classes[by];
  const bright = classes.map((one, i) => word(off[by].has(one.key) ? dimmed(classColour(i)) : classColour(i)));
  const dark = classes.map((_, i) => word(dimmed(classColour(i))));
  const column = pool.class[by], held = pool.held = holding();
  for (const area of pool.areas) {
    let at = pool.apart ? area.row * pool.columns : area.first;
    for (let i = area.first; i < area.first + area.pages; i += 1, at += 1) {
      words[at] = held !== null && !held[i] ? dark[column[i]] : bright[column[i]];
    }
  }
  canvasOf.getContext("2d").putImageData(image, 0, 0);
  picture = canvasOf;
};

// ---- drawing ----

const soon = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
};

const clamp = () => {
  scale = Math.min(Math.max(scale, fitScale * 0.6), Math.max(Math.min(mapWidth(), height) * 0.97, fitScale));
  const across = mapWidth() / scale, down = height / scale;
  x0 = across >= pool.columns ? (pool.columns - across) / 2 : Math.min(Math.max(x0, -0.02 * across), pool.columns - across * 0.98);
  y0 = down >= pool.rows ? (scale <= fitScale * 1.001 ? (pool.rows - down) / 2 : Math.min(Math.max(y0, pool.rows - down), 0))
    : Math.min(Math.max(y0, -0.02 * down), pool.rows - down * 0.98);
};

const draw = () => {
  if (pool === null || picture === null) return;
  clamp();
  const ratio = window.devicePixelRatio || 1, left = gutter();
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.fillStyle = colours.gap;
  ctx.fillRect(0, 0, width, height);
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, 0, width - left, height);
  ctx.clip();
  ctx.imageSmoothingEnabled = scale * ratio < 1;
  ctx.imageSmoothingQuality = "high";
  const cx = Math.max(0, Math.floor(x0)), cy = Math.max(0, Math.floor(y0));
  const cw = Math.min(pool.columns, Math.ceil(x0 + mapWidth() / scale)) - cx;
  const ch = Math.min(pool.rows, Math.ceil(y0 + height / scale)) - cy;
  if (cw > 0 && ch > 0) {
    ctx.drawImage(picture, cx, cy, cw, ch, left + (cx - x0) * scale, (cy - y0) * scale, cw * scale, ch * scale);
    if (scale >= GRID_FROM) drawPages(cx, cy, cw, ch, left);
  }
  drawCursor(left);
  ctx.restore();
  drawAddresses(left);
  const share = scale >= 1 ? `${scale.toFixed(scale < 10 ? 1 : 0)} px a page` : `${(1 / scale / scale).toFixed(1)} pages a pixel`;
  $("scale").textContent = share;
};

const drawPages = (cx, cy, cw, ch, left) => {
  const detailed = scale >= BLOCKS_FROM;
  const line = Math.min(2, Math.max(0.75, scale / 20));
  ctx.fillStyle = colours.gap;
  for (let row = cy; row < cy + ch; row += 1) {
    const y = (row - y0) * scale;
    for (let column = cx; column < cx + cw; column += 1) {
      const index = indexAt(column, row);
      if (index < 0) continue;
      const x = left + (column - x0) * scale;
      if (detailed) drawPage(index, x, y);
      ctx.fillStyle = colours.gap;
      ctx.fillRect(x, y, scale, line);
      // Pages of one allocation hang together
      if (!(pool.marks[index] & (INSIDE | LAST)) || pool.kinds[index] !== WHOLE) ctx.fillRect(x, y, line, scale);
    }
  }
};

const pieceColour = (index, b) => {
  const marks = pool.blockMarks[b];
  if (marks & B_FREE) return colours.free;
  const classes = pool.classes[by];
  let at = pool.class[by][index];
  if (by === "tag") at = pool.topClass.get(pool.blockTags[b]) ?? classes.findIndex((one) => one.key === "others");
  const colour = classColour(at);
  const hidden = off[by].has(classes[at].key) || (wanted >= 0 && pool.blockTags[b] !== wanted);
  if (hidden) return dimmed(colour);
  return marks & (B_UNKNOWN | B_WAITING) ? mix(colour, colours.unused, 0.5) : colour;
};

const drawPage = (index, x, y) => {
  const kind = pool.kinds[index];
  const at = pool.class[by][index];
  const hidden = off[by].has(pool.classes[by][at].key) || (pool.held !== null && !pool.held[index]);
  if (kind === BLOCKS || kind === USED) {
    const k = keptAt(index);
    if (k >= 0) { drawBlocks(index, k, x, y); return; }
    drawSums(index, x, y, hidden ? dimmed(classColour(at)) : classColour(at));
    return;
  }
  const colour = hidden ? dimmed(classColour(at)) : classColour(at);
  if (kind === WHOLE && scale >= 44) {
    label(tagName(pool.tags[index]), x + 5, y + 4, scale - 8, 13, inkOn(colour), 12);
    const a = allocationOf(index);
    if (a >= 0 && pool.allocPages[a] === index && scale >= 90) {
      label(bytes(pool.allocSizes[a]), x + 5, y + 19, scale - 8, 12, inkOn(colour), 11);
    }
  }
};

const drawSums = (index, x, y, colour) => {
  const live = pool.live[index];
  if (live === UNKNOWN) return;
  ctx.fillStyle = css(colours.free);
  ctx.fillRect(x, y, scale, scale);
  ctx.fillStyle = css(colour);
  ctx.fillRect(x, y, scale, (scale * live) / PAGE);
  if (scale >= 120) label("only the sum is in this file", x + 6, y + scale - 18, scale - 10, 12, colours.muted, 11);
};

const drawBlocks = (index, k, x, y) => {
  const high = scale / LINES, inset = high >= 5 ? 1 : 0;
  ctx.fillStyle = css(colours.unused);
  ctx.fillRect(x, y, scale, scale);
  for (let b = pool.starts[k]; b < pool.starts[k + 1]; b += 1) {
    const colour = pieceColour(index, b);
    ctx.fillStyle = css(colour);
    let from = pool.offsets[b], widest = null;
    const end = Math.min(from + pool.sizes[b], PAGE);
    while (from < end) {
      const line = Math.floor(from / LINE), stop = Math.min(end, (line + 1) * LINE);
      const px = x + ((from % LINE) / LINE) * scale, py = Math.round(y + line * high);
      const wide = ((stop - from) / LINE) * scale, tall = Math.round(y + (line + 1) * high) - py;
      // The next line of the same block hangs on it
      const below = stop < end ? 0 : inset;
      ctx.fillRect(px, py, Math.max(wide - (stop === end ? inset : 0), 0.5), Math.max(tall - below, 0.5));
      if (widest === null || wide > widest[2]) widest = [px, py, wide];
      from = stop;
    }
    if (widest !== null && high >= 11 && widest[2] >= 30) {
      const free = pool.blockMarks[b] & B_FREE;
      const name = `${free ? "free" : tagName(pool.blockTags[b])}${widest[2] >= 92 ? `  ${pool.sizes[b]}` : ""}`;
      label(name, widest[0] + 4, widest[1] + high / 2 - 6, widest[2] - 7, 12, free ? colours.muted : inkOn(colour), Math.min(12, high - 1));
      ctx.fillStyle = css(colour);
    }
  }
};

const label = (text, x, y, room, high, colour, size) => {
  ctx.font = `${size}px ${colours.mono}`;
  ctx.textBaseline = "middle";
  let shown = text;
  const most = Math.floor(room / (size * 0.61));
  if (shown.length > most) shown = shown.slice(0, Math.max(0, most));
  if (shown.trim() === "") return;
  ctx.fillStyle = colour;
  ctx.fillText(shown, x, y + high / 2);
};

const drawCursor = (left) => {
  const outline = (index, colour, line) => {
    const [column, row] = place(index), size = Math.max(scale, 4);
    ctx.strokeStyle = colour;
    ctx.lineWidth = line;
    ctx.strokeRect(left + (column - x0) * scale - line / 2, (row - y0) * scale - line / 2, size + line, size + line);
  };
  if (cursor >= 0 && cursor < pool.n) outline(cursor, colours.accent, 2.5);
  if (hovered !== null && hovered.index !== cursor) outline(hovered.index, colours.ink, 1.25);
  if (hovered !== null && hovered.piece >= 0 && scale >= BLOCKS_FROM) {
    const [column, row] = place(hovered.index), b = hovered.piece, high = scale / LINES;
    const x = left + (column - x0) * scale, y = (row - y0) * scale;
    ctx.strokeStyle = colours.ink;
    ctx.lineWidth = 1.5;
    let from = pool.offsets[b];
    const end = Math.min(from + pool.sizes[b], PAGE);
    const whole = Math.floor(from / LINE) !== Math.floor((end - 1) / LINE);
    while (from < end) {
      const line = Math.floor(from / LINE), stop = Math.min(end, (line + 1) * LINE);
      const px = x + ((from % LINE) / LINE) * scale, wide = ((stop - from) / LINE) * scale;
      if (!whole) ctx.strokeRect(px, y + line * high, wide, high);
      else { ctx.globalAlpha = 0.22; ctx.fillStyle = colours.ink; ctx.fillRect(px, y + line * high, wide, high); ctx.globalAlpha = 1; }
      from = stop;
    }
  }
};

const drawAddresses = (left) => {
  ctx.fillStyle = colours.gap;
  ctx.fillRect(0, 0, left - 6, height);
  ctx.font = `11px ${colours.mono}`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "right";
  ctx.fillStyle = colours.muted;
  const taken = [];
  const write = (row) => {
    const index = indexAt(0, row), y = (row - y0) * scale + Math.min(scale / 2, 12);
    if (index < 0 || y < 6 || y > height - 4 || taken.some((other) => Math.abs(other - y) < 15)) return;
    ctx.fillText(address(index), left - 12, y);
    taken.push(y);
  };
  // Where a stretch of memory begins says most
  if (pool.apart) for (const area of pool.areas) write(area.row);
  const step = Math.max(1, Math.ceil(24 / scale));
  for (let row = Math.max(0, Math.floor(y0 / step) * step); row < pool.rows && (row - y0) * scale < height; row += step) {
    write(row);
  }
  ctx.textAlign = "left";
};
