"use strict";
(() => {
  if (typeof uPlot !== "function") return;
  const HEIGHT = 290;
  const DAY = 86400;
  // The marks of both axes follow the rules of the static picture (chart_scale.py).
  const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
    ...[1, 2, 4, 7, 14, 28, 91, 182, 364, 1820, 3640, 18200, 91000].map((n) => n * DAY)];
  const BYTE_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 512];
  const BYTE_UNITS = ["bytes", "KB", "MB", "GB", "TB", "PB", "EB", "ZB"];

  // ---- words ----------------------------------------------------------------------------------------------------
  const grouped = (value, digits) => value.toLocaleString("en", { maximumFractionDigits: digits });
  const withUnit = (text, unit) => text + ({ percent: " %", seconds: " s", "per second": "/s" }[unit] ?? "");
  const valueText = (value, unit) => {
    if (unit === "bytes") {
      let size = Math.abs(value);
      let power = 0;
      while (power < BYTE_UNITS.length - 1 && (power ? Math.round(size * 10) / 10 : size) >= 1024) { size /= 1024; power += 1; }
      const digits = power ? 1 : 0;
      return (value < 0 ? "-" : "") + size.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })
        + " " + BYTE_UNITS[power];
    }
    if (Math.abs(value) >= 1e15) return withUnit(Number(value.toPrecision(3)).toExponential(), unit);
    if (Number.isInteger(value)) return withUnit(grouped(value, 0), unit);
    return withUnit(Math.abs(value) >= 10 ? grouped(value, 1) : value.toLocaleString("en", { maximumSignificantDigits: 3 }), unit);
  };
  const bytePower = (step) => {
    let power = 0;
    while (power < BYTE_UNITS.length - 1 && step >= 512 * 1024 ** power) power += 1;
    return power;
  };
  const markText = (value, step, unit) => {
    if (value === 0) return "0";
    if (unit === "bytes") {
      const power = bytePower(step);
      return `${grouped(value / 1024 ** power, 3)} ${BYTE_UNITS[power]}`;
    }
    if (Math.abs(value) >= 1e15) return withUnit(Number(value.toPrecision(3)).toExponential(), unit);
    const [size, word] = [[1e12, " T"], [1e9, " G"], [1e6, " M"]].find(([n]) => Math.abs(value) >= n) ?? [1, ""];
    return withUnit(grouped(value / size, 6) + word, unit);
  };
  const valueMarks = (low, high, unit, most) => {
    const least = (high - low) / most;
    let step;
    if (unit === "bytes") {
      let power = 0;
      while (power < BYTE_UNITS.length - 1 && least > 512 * 1024 ** power) power += 1;
      step = (BYTE_STEPS.find((n) => n * 1024 ** power >= least) ?? least / 1024 ** power) * 1024 ** power;
    } else {
      step = Number(`1e${Math.ceil(Math.log10(Math.max(least, 1e-12)))}`);
      step = step / 5 >= least ? step / 5 : step / 2 >= least ? step / 2 : step;
      if (unit === "count") step = Math.max(step, 1);
    }
    const first = Math.ceil(low / step);
    const marks = [];
    for (let n = 0; n <= most + 1 && (first + n) * step <= high; n += 1) marks.push((first + n) * step);
    return [marks, step];
  };
  const iso = (time) => new Date(time * 1000).toISOString();
  const timeMarks = (begin, end, most) => {
    const step = TIME_STEPS.find((n) => (end - begin) / n <= most) ?? TIME_STEPS.at(-1);
    const marks = [];
    for (let mark = Math.ceil(begin / step) * step; mark <= end && marks.length <= most; mark += step) marks.push(mark);
    return [marks, step];
  };
  const timeWords = (marks, step) => {
    let day = "";
    return marks.map((mark) => {
      const [date, clock] = iso(mark).split("T");
      if (step >= DAY) return date;
      const text = clock.slice(0, step >= 60 ? 5 : 8);
      const words = date === day ? text : `${text}\n${date}`;
      day = date;
      return words;
    });
  };

  // ---- figures --------------------------------------------------------------------------------------------------
  const summed = (steps, size, start) => {
    let at = 0;
    return steps.map((step) => (step === null ? null : start + (at += step) * size));
  };
  const read = (text) => {
    const chart = JSON.parse(text);
    chart.lines.forEach((line, i) => {
      line.times = typeof line.t === "number" ? chart.lines[line.t].times : summed(line.t, chart.dt, chart.t0);
      line.values = summed(line.v, line.dv, 0);
      for (const ends of [line.fit, line.ahead, line.far]) for (const end of ends ?? []) end[0] += chart.t0;
      line.number = i + 1;
    });
    chart.x = chart.x.map((x) => x + chart.t0);
    if (chart.far !== undefined) chart.far += chart.t0;
    return chart;
  };
  const aligned = (chart) => {
    // The first place lies before everything and holds no value of any line: where a line has none, it is shown there.
    const all = new Set([chart.x[0] - 1, ...chart.x, chart.far ?? chart.x[1]]);
    for (const line of chart.lines) for (const time of line.times) all.add(time);
    const times = Array.from(all).sort((a, b) => a - b);
    const place = new Map(times.map((time, i) => [time, i]));
    const columns = chart.lines.map((line) => {
      const column = new Array(times.length).fill(null);
      line.places = line.times.map((time) => place.get(time));
      line.places.forEach((at, i) => { column[at] = line.values[i]; });
      return column;
    });
    return [times, ...columns];
  };
  const nearest = (times, time) => {
    let low = 0;
    let high = times.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (times[middle] <= time) low = middle; else high = middle;
    }
    return time - times[low] <= times[high] - time ? low : high;
  };
  const between = ([[t0, v0], [t1, v1]], time) => v0 + (v1 - v0) * (time - t0) / (t1 - t0);
  // The values to be seen from one time to another, with one neighbour at either side.
  const extent = (lines, begin, end, whole) => {
    let low = Infinity;
    let high = -Infinity;
    const take = (value) => { if (value < low) low = value; if (value > high) high = value; };
    for (const line of lines) {
      for (let i = 0; i < line.times.length; i += 1) {
        const near = (line.times[i + 1] ?? line.times[i]) >= begin && (line.times[i - 1] ?? line.times[i]) <= end;
        if (near && line.values[i] !== null) take(line.values[i]);
      }
      if (whole) {
        for (const ends of [line.fit, line.ahead]) for (const [, value] of ends ?? []) take(value);
        if (line.limit !== undefined) take(line.limit);
      } else if (line.ahead) {
        for (const time of [Math.max(begin, line.ahead[0][0]), Math.min(end, line.ahead[1][0])]) {
          if (time >= line.ahead[0][0] && time <= line.ahead[1][0] && time >= begin && time <= end) take(between(line.ahead, time));
        }
      }
    }
    return low <= high ? [low, high] : null;
  };
  const valueRange = (low, high, whole) => {
    if (high <= low) {
      const room = Math.abs(high) * (whole ? 0.1 : 0.01) || 1;
      return [whole && low >= 0 ? 0 : low - room, high + room];
    }
    const room = (high - low) * 0.08;
    return whole && low >= 0 && high - low > 0.15 * high ? [0, high + room] : [low - room, high + room];
  };

  // ---- one chart ------------------------------------------------------------------------------------------------
  const draw = (figure) => {
    const chart = read(figure.querySelector("script").textContent);
    const data = aligned(chart);
    const { lines, unit } = chart;
    const colour = (name) => getComputedStyle(figure).getPropertyValue(name).trim();
    const ofLine = (line) => colour(`--k${line.number}`);
    const area = figure.querySelector(".chart-area");
    const live = document.createElement("div");
    live.className = "chart-live";
    live.tabIndex = 0;
    live.setAttribute("role", "application");
    live.setAttribute("aria-label", `${area.querySelector("svg").getAttribute("aria-label")} `
      + "Left and right move along the line, plus and minus zoom, Escape shows everything.");
    area.append(live);
    const clock = figure.querySelector(".chart-clock");
    const reset = document.createElement("button");
    reset.type = "button";
    reset.className = "chart-reset";
    reset.textContent = "Show everything";
    reset.hidden = true;
    clock.after(reset);
    // Forecasts that lie beyond the chart are shown on demand: then the time axis reaches to the last of them.
    let whole = chart.x;
    const outlook = document.createElement("button");
    outlook.type = "button";
    outlook.className = "chart-reset chart-outlook";
    outlook.textContent = "Show forecast";
    outlook.setAttribute("aria-pressed", "false");
    const near = lines.map(({ ahead, limit }) => ({ ahead, limit }));
    const look = (far) => {
      whole = far ? [chart.x[0], chart.far] : chart.x;
      lines.forEach((line, i) => Object.assign(line, far && line.far ? { ahead: line.far, limit: line.far[1][1] } : near[i]));
      outlook.textContent = far ? "Hide forecast" : "Show forecast";
      outlook.setAttribute("aria-pressed", String(far));
    };
    if (chart.far !== undefined) clock.after(outlook);
    const shown = lines.map(() => true);
    const visible = () => lines.filter((_, i) => shown[i]);
    let seen = chart.x; // the ends of the time axis; uPlot asks for them before it asks for those of the values
    const full = (from, to) => from <= whole[0] && to >= whole[1];
    const still = clock.textContent;
    const hint = document.createElement("span");
    hint.className = "chart-hint muted";
    hint.textContent = "Drag to zoom in";
    clock.before(hint);

    // The legend's entries become buttons.
    const entries = Array.from(figure.querySelectorAll(".legend li"), (item, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.title = "Click to hide or show this line";
      button.append(...item.childNodes);
      item.append(button);
      const value = button.querySelector(".chart-value");
      button.addEventListener("click", () => {
        shown[i] = !shown[i];
        button.setAttribute("aria-pressed", String(shown[i]));
        for (const group of area.querySelectorAll(`.plot .k${i + 1}`)) group.classList.toggle("off", !shown[i]);
        plot.setSeries(i + 1, { show: shown[i] });
        plot.setSeries(null, { focus: true });
      });
      for (const [event, index] of [["mouseenter", i + 1], ["focus", i + 1], ["mouseleave", null], ["blur", null]]) {
        button.addEventListener(event, () => {
          if (lines.length > 1) plot.setSeries(shown[i] ? index : null, { focus: true });
        });
      }
      return { value, last: value.textContent };
    });

    const strokes = (u, i) => {
      const line = lines[i - 1];
      const path = new Path2D();
      let stretch = 0; // points since the last gap
      let x;
      let y;
      const dot = 1.2 * devicePixelRatio;
      const end = () => {
        if (stretch === 1) { path.moveTo(x + dot, y); path.arc(x, y, dot, 0, 2 * Math.PI); }
        stretch = 0;
      };
      line.values.forEach((value, at) => {
        if (value === null) { end(); return; }
        x = u.valToPos(line.times[at], "x", true);
        y = u.valToPos(value, "y", true);
        if (stretch) path.lineTo(x, y); else path.moveTo(x, y);
        stretch += 1;
      });
      end();
      return { stroke: path, fill: null, clip: null, band: null, gaps: null, flags: 0 };
    };

    // Limits, fitted growth and forecasts lie over the lines and go with them.
    const extras = (u) => {
      const { ctx, bbox } = u;
      const ratio = u.pxRatio ?? devicePixelRatio;
      const at = ([time, value]) => [u.valToPos(time, "x", true), u.valToPos(value, "y", true)];
      const straight = (ends, dash, width, stroke, alpha) => {
        ctx.beginPath();
        ctx.setLineDash(dash.map((n) => n * ratio));
        ctx.lineWidth = width * ratio;
        ctx.strokeStyle = stroke;
        ctx.globalAlpha = alpha;
        ctx.moveTo(...at(ends[0]));
        ctx.lineTo(...at(ends[1]));
        ctx.stroke();
        ctx.globalAlpha = 1;
        ctx.setLineDash([]);
      };
      const { min, max } = u.scales.x;
      const ink = colour("--ink");
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top - 6 * ratio, bbox.width, bbox.height + 6 * ratio);
      ctx.clip();
      for (const line of visible()) {
        const stroke = ofLine(line);
        if (line.limit !== undefined && line.limit >= u.scales.y.min && line.limit <= u.scales.y.max) {
          straight([[min, line.limit], [max, line.limit]], [8, 4], 1.5, stroke, 0.8);
          const right = line.number % 2 === 0;
          ctx.font = `600 ${12 * ratio}px ${colour("--sans")}`;
          ctx.fillStyle = stroke;
          ctx.textAlign = right ? "right" : "left";
          ctx.textBaseline = "alphabetic";
          ctx.fillText(`limit ${valueText(line.limit, unit)}`, right ? bbox.left + bbox.width - 8 * ratio : bbox.left + 8 * ratio,
            at([min, line.limit])[1] - 5 * ratio);
        }
        if (line.fit) straight(line.fit, [5, 4], 1.5, ink, 0.75);
        if (line.ahead) {
          straight(line.ahead, [2, 4], 2, stroke, 1);
          const [x, y] = at(line.ahead[1]);
          ctx.beginPath();
          ctx.arc(x, y, 4.5 * ratio, 0, 2 * Math.PI);
          ctx.fillStyle = colour("--card");
          ctx.strokeStyle = stroke;
          ctx.lineWidth = 2 * ratio;
          ctx.fill();
          ctx.stroke();
        }
      }
      ctx.restore();
    };

    const hover = (u) => {
      const { left } = u.cursor;
      const on = left !== undefined && left !== null && left >= 0;
      const time = on ? u.posToVal(left, "x") : null;
      entries.forEach((entry, i) => {
        const line = lines[i];
        if (!on) { entry.value.textContent = entry.last; return; }
        const last = line.times.at(-1);
        if (line.ahead && time > last && time <= line.ahead[1][0]) {
          entry.value.textContent = `~ ${valueText(between(line.ahead, Math.max(time, line.ahead[0][0])), unit)}`;
          return;
        }
        const value = data[i + 1][index(u, i + 1, time)];
        entry.value.textContent = value === null || value === undefined ? "--" : valueText(value, unit);
      });
      clock.textContent = on ? iso(time).slice(0, 19).replace("T", " ") + (chart.utc ? " UTC" : " (server)") : still;
    };
    const index = (u, i, time) => {
      const { times, places } = lines[i - 1];
      const near = nearest(times, time);
      // Beyond its own time a line has no value, not even its last one.
      const far = (u.scales.x.max - u.scales.x.min) * 0.02;
      const outside = time > times.at(-1) + far || time < times[0] - far;
      return outside ? 0 : places[near];
    };

    const axis = { stroke: () => colour("--muted"), font: `12px ${colour("--sans")}`, ticks: { show: false } };
    const grid = { stroke: () => colour("--grid"), width: 1 };
    // uPlot draws an axis whose steps it finds wide enough; the marks themselves are ours.
    const incrs = (u, i, min, max) => [Math.max(10, max - min)];
    const xMarks = (min, max) => {
      const wide = Math.max(100, live.clientWidth - 80);
      const [marks, step] = timeMarks(min, max, Math.max(3, Math.floor(wide / 120)));
      // Words that would be cut off at the right, or run into those of the other axis, are left out with their mark.
      const edge = (max - min) * 24 / wide;
      return [marks.filter((mark) => mark >= min + edge && mark <= max - edge), step];
    };
    figure.classList.add("live");
    const plot = new uPlot({
      width: live.clientWidth,
      height: HEIGHT,
      padding: [10, 12, 0, 0],
      legend: { show: false },
      focus: { alpha: 0.25 },
      cursor: {
        y: false,
        dataIdx: (u, i, at, time) => (i === 0 ? at : index(u, i, time)),
        drag: { x: true, y: false, dist: 4 },
        points: { size: 7 },
      },
      scales: {
        x: { time: false, range: (u, min, max) => (seen = [Math.max(min, whole[0]), Math.min(max, whole[1])]) },
        y: {
          range: () => {
            const everywhere = full(...seen);
            const ends = extent(visible(), ...seen, everywhere);
            return ends ? valueRange(...ends, everywhere) : [0, 1];
          },
        },
      },
      axes: [
        { ...axis, grid: { ...grid, show: false }, incrs, space: 1,
          size: (u, words) => ((words ?? []).some((text) => text.includes("\n")) ? 44 : 28),
          splits: (u, i, min, max) => xMarks(min, max)[0],
          values: (u, marks) => timeWords(marks, xMarks(u.scales.x.min, u.scales.x.max)[1]) },
        { ...axis, grid, incrs, space: 1, size: 70,
          splits: (u, i, min, max) => valueMarks(min, max, unit, 6)[0],
          values: (u, marks) => marks.map((mark) => markText(mark, valueMarks(u.scales.y.min, u.scales.y.max, unit, 6)[1], unit)) },
      ],
      series: [{}, ...lines.map((line) => ({
        label: line.n, stroke: () => ofLine(line), width: 1.75, cap: "round", paths: strokes, spanGaps: true,
        points: { show: false, fill: () => ofLine(line) },
      }))],
      hooks: {
        draw: [extras],
        setCursor: [hover],
        setScale: [(u, key) => { if (key === "x") hint.hidden = !(reset.hidden = full(u.scales.x.min, u.scales.x.max)); }],
      },
    }, data, live);

    // ---- keyboard, size and colours ---------------------------------------------------------------------------
    const show = (min, max) => plot.setScale("x", { min: Math.max(min, whole[0]), max: Math.min(max, whole[1]) });
    const everything = () => show(...whole);
    const zoom = (factor) => {
      const { min, max } = plot.scales.x;
      const middle = plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") : (min + max) / 2;
      if ((max - min) * factor >= 2 * chart.dt) show(middle - (middle - min) * factor, middle + (max - middle) * factor);
    };
    const move = (pixels) => {
      const width = plot.over.clientWidth;
      const from = plot.cursor.left >= 0 ? plot.cursor.left : pixels > 0 ? -pixels : width;
      plot.setCursor({ left: Math.min(width - 1, Math.max(0, from + pixels)), top: plot.over.clientHeight / 2 });
    };
    const keys = {
      ArrowLeft: () => move(-8), ArrowRight: () => move(8), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2),
      Escape: () => { everything(); leave(); },
    };
    live.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      keys[event.key]();
      event.preventDefault();
    });
    live.addEventListener("focus", () => clock.setAttribute("aria-live", "polite"));
    const leave = () => plot.setCursor({ left: -10, top: -10 });
    live.addEventListener("blur", () => { clock.removeAttribute("aria-live"); leave(); });
    addEventListener("beforeprint", leave);
    outlook.addEventListener("click", () => { look(whole === chart.x); everything(); });
    reset.addEventListener("click", () => { everything(); live.focus({ preventScroll: true }); });
    let width = live.clientWidth;
    new ResizeObserver(() => {
      requestAnimationFrame(() => {
        if (!live.clientWidth || live.clientWidth === width) return;
        width = live.clientWidth;
        plot.setSize({ width, height: HEIGHT });
      });
    }).observe(live);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw());
  };

  // A chart is made when it comes into view: a page may hold hundreds. Until then, and where it fails, the picture stays.
  const made = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      made.unobserve(target);
      try { draw(target); } catch { target.classList.remove("live"); }
    }
  }, { rootMargin: "300px" });
  for (const figure of document.querySelectorAll("figure.chart")) if (figure.querySelector("script")) made.observe(figure);
})();
