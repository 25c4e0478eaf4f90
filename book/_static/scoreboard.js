// The scoreboard's filters: rows carry their paper and verdict as data attributes.
document.addEventListener("DOMContentLoaded", () => {
  const board = document.getElementById("scoreboard");
  if (!board) return;
  const paper = document.getElementById("filter-paper");
  const verdict = document.getElementById("filter-verdict");
  const count = document.getElementById("filter-count");
  const rows = [...board.querySelectorAll("tbody tr")];
  function filter() {
    let shown = 0;
    for (const row of rows) {
      const fits = (!paper.value || row.dataset.paper === paper.value)
        && (!verdict.value || row.dataset.verdict === verdict.value);
      row.hidden = !fits;
      row.style.display = fits ? "" : "none";
      shown += fits;
    }
    count.textContent = `${shown} claims`;
  }
  paper.addEventListener("change", filter);
  verdict.addEventListener("change", filter);
  filter();
});
