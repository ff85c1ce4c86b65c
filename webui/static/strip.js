// <film-strip>: moving over the strip shows the time there and the picture of the scene.

import "./player.js";

const STILL_AFTER_MS = 120; // a picture may have to be cut: not for every scene that is crossed

class FilmStrip extends HTMLElement {
  connectedCallback() {
    const svg = this.querySelector(".strip");
    svg.addEventListener("pointermove", (event) => this.over(event, svg));
    svg.addEventListener("pointerleave", () => this.out());
  }

  over(/** @type {PointerEvent} */ event, /** @type {Element} */ svg) {
    if (event.pointerType === "touch") return;
    const cell = /** @type {Element} */ (event.target).closest("[data-still]");
    if (!cell) return;
    this.tip ??= this.makeTip();
    const box = svg.getBoundingClientRect();
    const x = Math.min(Math.max(event.clientX - box.left, 88), Math.max(88, box.width - 88));
    this.tip.style.left = `${x}px`;
    if (this.cell === cell) return;
    this.cell = cell;
    this.tip.lastElementChild.textContent = cell.getAttribute("aria-label");
    const image = /** @type {HTMLImageElement} */ (this.tip.firstElementChild);
    image.removeAttribute("src");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (image.src = cell.dataset.still), STILL_AFTER_MS);
  }

  out() {
    clearTimeout(this.timer);
    this.tip?.remove();
    this.tip = this.cell = undefined;
  }

  makeTip() {
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.setAttribute("aria-hidden", "true");
    const image = document.createElement("img");
    image.alt = "";
    tip.append(image, document.createElement("b"));
    this.append(tip);
    return tip;
  }
}

customElements.define("film-strip", FilmStrip);
