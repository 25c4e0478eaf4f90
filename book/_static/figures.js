// On a phone a figure fits the screen; a tap shows it large, and it scrolls, until the next tap.
document.addEventListener("click", ({target}) => {
  if (target.matches?.(".cell_output figure img") && matchMedia("(max-width: 40rem)").matches) {
    target.classList.toggle("large");
  }
});
