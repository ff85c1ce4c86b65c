// The keyboard: / search, arrows between results, Enter preview, ? help. Fields keep their keys.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Listen for the keys of every page. */
export function listen(/** @type {Function} */ show, /** @type {HTMLDialogElement} */ dialog) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (dialog.open) return;
    const at = /** @type {HTMLElement} */ (document.activeElement);
    const writing = at.matches("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !writing) focusSearch(event);
    else if (event.key === "?" && !writing) help(event, show);
    else if (event.key === "b" && !writing) press("[data-boxes]");
    else if (event.key === "m" && !writing) press("[data-like]", at.closest("[data-card]") ?? document.querySelector(".stage"));
    else if (event.key in ARROWS) move(event, at, writing);
    else if (event.key === "Enter" && !event.shiftKey && at.matches("[data-moment]")) {
      event.preventDefault();
      show(/** @type {HTMLAnchorElement} */ (at).href, at.getAttribute("aria-label"));
    }
  });
}

function focusSearch(/** @type {KeyboardEvent} */ event) {
  const field = /** @type {HTMLInputElement | null} */ (document.getElementById("q"));
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
}

function press(/** @type {string} */ what, /** @type {ParentNode | null} */ within = document) {
  /** @type {HTMLElement | null} */ (within?.querySelector(what))?.click();
}

function help(/** @type {KeyboardEvent} */ event, /** @type {Function} */ show) {
  const link = /** @type {HTMLAnchorElement | null} */ (document.querySelector("[data-help]"));
  if (!link) return;
  event.preventDefault();
  show(link.href, "Help");
}

/** Move the focus to the nearest result in the arrow's direction. */
function move(event, at, writing) {
  const results = [...document.querySelectorAll("[data-moment]")].filter((one) => one.checkVisibility());
  if (!results.length) return;
  if (writing) {
    if (event.key !== "ArrowDown" || at.id !== "q") return;
    event.preventDefault();
    results[0].focus();
    return;
  }
  const card = at.closest("[data-card]");
  if (!card) return;
  event.preventDefault();
  const here = /** @type {HTMLElement} */ (card.querySelector("[data-moment]"));
  const [dx, dy] = ARROWS[event.key];
  const next = dx ? results[results.indexOf(here) + dx] : vertically(results, here, dy);
  if (next) next.focus();
  else if (dy < 0) document.getElementById("q")?.focus();
}

/** Return the result in the next row up or down that is nearest to the side. */
function vertically(results, here, dy) {
  const from = here.getBoundingClientRect();
  let best = null;
  let least = Infinity;
  for (const one of results) {
    const to = one.getBoundingClientRect();
    const down = (to.top - from.top) * dy;
    const far = down * 4 + Math.abs(to.left - from.left);
    if (down > 8 && far < least) [best, least] = [one, far];
  }
  return best;
}
