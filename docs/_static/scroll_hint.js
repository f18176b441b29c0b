// Mark code, tables and formulas that continue beyond their right edge; the style sheet lets that edge fade out.
document.addEventListener("DOMContentLoaded", () => {
  const boxes = document.querySelectorAll(
    ".bd-article pre, .bd-article .pst-scrollable-table-container, .bd-article div.math",
  );
  const mark = (box) => {
    const hidden = box.scrollWidth - box.clientWidth - box.scrollLeft;
    box.classList.toggle("is-cut-right", hidden > 1);
  };
  const sizes = new ResizeObserver((entries) => entries.forEach((entry) => mark(entry.target)));
  boxes.forEach((box) => {
    sizes.observe(box);
    box.addEventListener("scroll", () => mark(box), { passive: true });
  });
});
