// The data of the map, and where its pages lie. The three parts of the script run as one function, in the order data,
// draw, map; texts of the evidence (tags, names) are shown as text and never as HTML.
"use strict";
const BLOCKS = 1, WHOLE = 2, USED = 3;
const PINNED = 4, CHOSEN = 16, INSIDE = 32, LAST = 2;
const B_FREE = 1, B_UNKNOWN = 2, B_BEFORE = 4, B_ON = 8, B_PROTECTED = 16, B_WAITING = 32;
const PAGE = 4096, UNKNOWN = 0xffff;
const LINES = 16, LINE = PAGE / LINES; // a page is drawn as 16 lines of 256 bytes
const BLOCKS_FROM = 26; // pixels of a page from which its blocks are drawn
const GRID_FROM = 7; // pixels of a page from which pages are set apart
const MAX_APART = 200; // stretches of memory that begin a row of their own
const MAX_JOINED = 4096; // pages that a block is followed over
const MAX_NAMES = 500; // tags offered while one is typed
const MAX_COLUMNS = 8192; // of the picture with one pixel for each page
const DIM = 0.84;

const $ = (id) => document.getElementById(id);
const meta = JSON.parse($("meta").textContent);
const canvas = $("map"), ctx = canvas.getContext("2d");
const loaded = new Map();
const off = { state: new Set(), tag: new Set(), kind: new Set() };
let pool = null, by = meta.by, wanted = -1, picture = null, colours = null;
let scale = 1, x0 = 0, y0 = 0, width = 0, height = 0, fitScale = 1;
let cursor = -1, hovered = null, waiting = false;

// ---- data ----

const unpack = async (number) => {
  const text = atob($(`data-${number}`).textContent);
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
};

const load = async (number) => {
  if (loaded.has(number)) return loaded.get(number);
  const told = meta.pools[number], octets = await unpack(number);
  let at = 0;
  const take = (Type, count) => {
    const part = new Type(octets.slice(at, at + count * Type.BYTES_PER_ELEMENT));
    at += count * Type.BYTES_PER_ELEMENT;
    return part;
  };
  const n = told.pages;
  const made = { ...told, n };
  made.class = { state: take(Uint8Array, n), tag: take(Uint8Array, n), kind: take(Uint8Array, n) };
  made.kinds = take(Uint8Array, n);
  made.marks = take(Uint8Array, n);
  made.live = take(Uint16Array, n);
  made.gaps = take(Uint16Array, n);
  made.tags = take(Uint16Array, n);
  made.blockPages = take(Uint32Array, told.kept);
  made.starts = take(Uint32Array, told.kept + 1);
  made.offsets = take(Uint16Array, told.pieces);
  made.sizes = take(Uint16Array, told.pieces);
  made.blockTags = take(Uint16Array, told.pieces);
  made.blockMarks = take(Uint8Array, told.pieces);
  made.allocPages = take(Uint32Array, told.allocations);
  made.allocSizes = take(Float64Array, told.allocations);
  made.allocTags = take(Uint16Array, told.allocations);
  let first = 0;
  made.areas = told.areas.map(([address, pages]) => {
    const area = { page: Number(BigInt(`0x${address}`) >> 12n), pages, first, row: 0 };
    first += pages;
    return area;
  });
  made.topClass = new Map(told.tops.map(([place], index) => [place, index + 1])); // class 0 is what is not used
  loaded.set(number, made);
  return made;
};

// The last place in ascending numbers that is not greater than a value; -1 where there is none
const floor = (count, get, value) => {
  let low = 0, high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (get(middle) <= value) low = middle + 1; else high = middle;
  }
  return low - 1;
};
const areaOf = (index) => pool.areas[floor(pool.areas.length, (i) => pool.areas[i].first, index)];
const pageNumber = (index) => { const area = areaOf(index); return area.page + index - area.first; };
const address = (index, offset = 0) =>
  (BigInt(pageNumber(index)) * 4096n + BigInt(offset)).toString(16).padStart(meta.bits / 4, "0");
const tagName = (place) => (place < meta.tags.length ? meta.tags[place] : place === UNKNOWN ? "" : "(others)");
const bytes = (n) => {
  if (n < 1024) return n === 1 ? "1 byte" : `${n} bytes`;
  let value = n, unit = -1;
  while (value >= 1023.95 && unit < 3) { value /= 1024; unit += 1; }
  return `${value.toFixed(1)} ${["KB", "MB", "GB", "TB"][unit]} (${n.toLocaleString("en")} bytes)`;
};

// ---- where pages lie ----

// As many columns as make pages largest on the screen; multiples of 16, so that rows begin at round addresses
const layOut = () => {
  pool.apart = pool.areas.length <= MAX_APART;
  const rowsOf = (columns) => (pool.apart
    ? pool.areas.reduce((sum, area) => sum + Math.ceil(area.pages / columns) + 1, -1) // between areas a row for the gap
    : Math.ceil(pool.n / columns));
  let best = 0;
  for (let columns = 16; columns <= MAX_COLUMNS; columns += columns < 512 ? 16 : 128) {
    const fits = Math.min(mapWidth() / columns, height / rowsOf(columns));
    if (fits > best) { best = fits; pool.columns = columns; }
  }
  pool.rows = Math.max(1, rowsOf(pool.columns));
  let row = 0;
  for (const area of pool.areas) {
    area.row = row;
    row += Math.ceil(area.pages / pool.columns) + 1;
  }
};

const place = (index) => {
  if (!pool.apart) return [index % pool.columns, Math.floor(index / pool.columns)];
  const area = areaOf(index), inside = index - area.first;
  return [inside % pool.columns, area.row + Math.floor(inside / pool.columns)];
};

const indexAt = (column, row) => {
  if (column < 0 || column >= pool.columns || row < 0 || row >= pool.rows) return -1;
  if (!pool.apart) { const index = row * pool.columns + column; return index < pool.n ? index : -1; }
  const at = floor(pool.areas.length, (i) => pool.areas[i].row, row);
  const area = pool.areas[at], inside = (row - area.row) * pool.columns + column;
  return inside < area.pages ? area.first + inside : -1;
};

const gutter = () => (meta.bits === 32 ? 74 : 136);
const mapWidth = () => Math.max(60, width - gutter());
