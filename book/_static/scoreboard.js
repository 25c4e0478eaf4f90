// The scoreboard's filters and search: rows carry what they are asked for as data attributes, and
// the address carries the choice, so that a view can be sent to somebody.
document.addEventListener("DOMContentLoaded", () => {
  const board = document.getElementById("scoreboard");
  if (!board) return;
  const names = ["paper", "verdict", "tier", "chapter", "words", "order"];
  const inputs = Object.fromEntries(names.map((n) => [n, document.getElementById(`filter-${n}`)]));
  const count = document.getElementById("filter-count"), body = board.querySelector("tbody");
  const rows = [...body.querySelectorAll("tr")];
  const text = rows.map((row) => row.textContent.toLowerCase());
  const fits = {
    paper: (row, is) => row.dataset.paper === is,
    verdict: (row, is) => row.dataset.verdict === is,
    tier: (row, is) => row.dataset.tier === is,
    chapter: (row, is) => row.dataset.chapters.split(" ").includes(is),
    words: (row, is) => is.toLowerCase().split(/\s+/).every((w) => text[rows.indexOf(row)].includes(w)),
  };
  const ranks = Object.fromEntries([...inputs.verdict.options].map((o, k) => [o.value, k]));
  const orders = {
    "": (row) => rows.indexOf(row),
    verdict: (row) => ranks[row.dataset.verdict],
    chapter: (row) => [...inputs.chapter.options].findIndex((o) => o.value === row.dataset.chapters.split(" ")[0]),
  };
  function filter() {
    let shown = 0;
    for (const row of rows) {
      const keep = Object.entries(fits).every(([n, fit]) => !inputs[n].value || fit(row, inputs[n].value));
      row.hidden = !keep;
      row.style.display = keep ? "" : "none";
      shown += keep;
    }
    const order = orders[inputs.order.value];
    body.append(...[...rows].sort((a, b) => order(a) - order(b) || rows.indexOf(a) - rows.indexOf(b)));
    count.textContent = `${shown} claims`;
  }
  function tell() {
    const chosen = names.filter((n) => inputs[n].value).map((n) => [n, inputs[n].value]);
    const query = new URLSearchParams(chosen).toString();
    history.replaceState(null, "", (query ? `?${query}` : location.pathname) + location.hash);
    filter();
  }
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (inputs[name]) inputs[name].value = value;
    if (inputs[name] && inputs[name].value !== value) inputs[name].value = "";
  }
  for (const input of Object.values(inputs)) {
    for (const change of ["input", "change"]) input.addEventListener(change, tell);
  }
  filter();
  if (location.hash) document.querySelector(location.hash)?.scrollIntoView();
});
