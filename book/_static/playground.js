// The landscape of two points: places that the reader moves, numbers that Python has computed.
document.addEventListener("DOMContentLoaded", () => {
  const root = document.getElementById("playground"), data = window.playgroundData;
  if (!root || !data) return;
  const [low, high, size] = data.grid, step = (high - low) / (size - 1), losses = ["js", "rs"];
  const unpack = (text) => new Int16Array(
    Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const of = Object.fromEntries(losses.map((loss) => [loss, Object.fromEntries(
    Object.entries(data[loss]).map(([name, text]) => [name, unpack(text)]))]));
  const find = (selector) => root.querySelector(selector);
  const clamp = (y) => Math.min(high, Math.max(low, y));

  // Within a cell the surface is taken as two flat triangles, cut along y1 = y2, where it bends.
  function corners(y) {
    const [p, q] = y.map((each) => (clamp(each) - low) / step);
    const [i, j] = [p, q].map((each) => Math.min(Math.floor(each), size - 2));
    const [a, b] = [p - i, q - j], node = (di, dj) => (i + di) * size + j + dj;
    return a >= b ? [[node(0, 0), 1 - a], [node(1, 0), a - b], [node(1, 1), b]]
      : [[node(0, 0), 1 - b], [node(0, 1), b - a], [node(1, 1), a]];
  }
  const value = (loss, y) => data.steps.values
    * corners(y).reduce((sum, [node, part]) => sum + part * of[loss].values[node], 0);
  const best = (loss, y) => [0, 1, 2, 3].map((k) => data.steps.best
    * corners(y).reduce((sum, [node, part]) => sum + part * of[loss].best[4 * node + k], 0));
  const nearest = (y) => y.map((each) => Math.round((clamp(each) - low) / step));
  const placeOf = (node) => [low + step * Math.floor(node / size), low + step * (node % size)];
  function path(loss, y) {
    const [i, j] = nearest(y), walk = [i * size + j];
    for (let next; (next = of[loss].next[walk.at(-1)]) !== walk.at(-1);) walk.push(next);
    return walk.map(placeOf);
  }
  const covers = (end) => data.reals.every((x) => end.some((y) => Math.abs(x - y) < step));
  const fate = (loss, y) => (covers(path(loss, y).at(-1)) ? "both real points" : "collapse");
  window.playground = { value, best, path, fate };

  // State: where the points of each loss are, and the way they came.
  let places = { js: [...data.start], rs: [...data.start] }, ways = { js: [], rs: [] }, timer = null;
  const line = find("svg.line"), status = find("[role=status]");
  const make = (parent, name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, is] of Object.entries(attributes)) made.setAttribute(key, is);
    return parent.appendChild(made);
  };
  const ticks = find(".ticks");
  make(ticks, "line", { x1: low, x2: high, y1: 0, y2: 0 });
  for (let x = low; x <= high; x += 2) make(ticks, "text", { x, y: 1.4 }).textContent = x;
  for (const x of data.reals) make(find(".reals"), "circle", { cx: x, cy: 0, r: 0.22 });
  const dots = losses.flatMap((loss) => [0, 1].map((k) => {
    const dot = make(find(".fakes"), "g", { class: loss, "data-point": k });
    make(dot, "path", { d: "M0,-.3L.26,.2L-.26,.2Z" });
    make(dot, "text", { y: loss === "js" ? -0.42 : 0.95 }).textContent = `y${"₁₂"[k]}`;
    return dot;
  }));

  // A function of this slope through the four values: the mean of the highest and the lowest one.
  function curve(loss) {
    const y = places[loss], at = [...data.reals, ...y], f = best(loss, y), points = [];
    for (let x = low; x <= high + 1e-9; x += 0.05) {
      const up = Math.min(...f.map((v, k) => v + data.slope * Math.abs(x - at[k])));
      const down = Math.max(...f.map((v, k) => v - data.slope * Math.abs(x - at[k])));
      points.push(`${x.toFixed(2)},${(-0.25 * (up + down)).toFixed(3)}`);
    }
    return `M${points.join("L")}`;
  }
  function drawMap(figure) {
    const loss = figure.dataset.loss, canvas = figure.querySelector("canvas");
    const context = canvas.getContext("2d"), scale = canvas.width / size;
    context.putImageData(images[loss], 0, 0);
    const at = ([a, b]) => [((a - low) / step + 0.5) * scale, canvas.height - ((b - low) / step + 0.5) * scale];
    context.strokeStyle = context.fillStyle = "#fdfdfd";
    context.lineWidth = 2;
    context.beginPath();
    ways[loss].forEach((y, k) => (k ? context.lineTo(...at(y)) : context.moveTo(...at(y))));
    context.stroke();
    context.strokeStyle = "#1f2328";
    context.beginPath();
    context.arc(...at(places[loss]), 6, 0, 7);
    context.fill();
    context.stroke();
  }
  const images = {}, lowest = -Math.log(2);
  const shades = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  for (const figure of root.querySelectorAll("[data-loss]")) {
    const canvas = figure.querySelector("canvas"), zoom = 3, width = size * zoom;
    canvas.width = canvas.height = width;
    const image = new ImageData(width, width);
    for (let r = 0; r < width; r++) {
      for (let c = 0; c < width; c++) {
        const y = [low + step * ((c + 0.5) / zoom - 0.5), low + step * ((width - r - 0.5) / zoom - 0.5)];
        const t = 4 * Math.min(1, Math.max(0, 1 - value(figure.dataset.loss, y) / lowest));
        const k = Math.min(3, Math.floor(t));
        const rgb = shades[k].map((v, n) => v + (t - k) * (shades[k + 1][n] - v));
        image.data.set([...rgb, 255], 4 * (r * width + c));
      }
    }
    images[figure.dataset.loss] = image;
    const moved = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const box = canvas.getBoundingClientRect();
      const part = [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
      put(part.map((p) => clamp(low - step / 2 + p * (high - low + step))));
    };
    canvas.addEventListener("pointerdown", moved);
    canvas.addEventListener("pointermove", moved);
  }
  function draw() {
    losses.forEach((loss) => {
      find(`path.${loss}`).setAttribute("d", curve(loss));
      find(`[data-loss=${loss}] .value`).textContent =
        `${value(loss, places[loss]).toFixed(3)}, descends to ${fate(loss, places[loss])}`;
    });
    const apart = losses.some((loss) => ways[loss].length);
    dots.forEach((dot) => {
      const loss = dot.getAttribute("class"), y = places[loss][dot.dataset.point];
      dot.setAttribute("transform", `translate(${y},0)${loss === "rs" ? "scale(1,-1)" : ""}`);
      const text = dot.querySelector("text");
      text.setAttribute("transform", loss === "rs" ? "scale(1,-1)" : "");
      dot.style.display = loss === "rs" && !apart ? "none" : "";
    });
    root.classList.toggle("apart", apart);
    for (const input of root.querySelectorAll("input")) input.value = places.js[input.dataset.point];
    root.querySelectorAll("[data-loss]").forEach(drawMap);
  }
  function put(y) {
    clearInterval(timer);
    places = { js: [...y], rs: [...y] };
    ways = { js: [], rs: [] };
    status.textContent = "";
    draw();
  }
  for (const input of root.querySelectorAll("input")) {
    input.addEventListener("input", () => {
      const y = [...places.js];
      y[input.dataset.point] = Number(input.value);
      put(y);
    });
  }
  dots.forEach((dot) => {
    dot.addEventListener("pointerdown", (event) => { dot.setPointerCapture(event.pointerId); });
    dot.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(line.getScreenCTM().inverse());
      const y = [...places[dot.getAttribute("class")]];
      y[dot.dataset.point] = clamp(at.x);
      put(y);
    });
  });
  find(".reset").addEventListener("click", () => put(data.start));
  find(".descend").addEventListener("click", () => {
    const routes = Object.fromEntries(losses.map((loss) => [loss, path(loss, places[loss])]));
    const length = Math.max(...losses.map((loss) => routes[loss].length));
    let k = 0;
    clearInterval(timer);
    const go = () => {
      losses.forEach((loss) => {
        ways[loss] = routes[loss].slice(0, k + 1);
        places[loss] = ways[loss].at(-1);
      });
      if (++k >= length) {
        clearInterval(timer);
        const said = losses.map((loss) => `${loss.toUpperCase()} ends with ${fate(loss, places[loss])}`);
        status.textContent = `${said.join(", ")}.`;
      }
      draw();
    };
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) k = length - 1;
    timer = setInterval(go, 30);
  });
  find(".still").hidden = true;
  find(".live").hidden = false;
  draw();
});
