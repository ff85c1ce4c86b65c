// A few frames of a scene while the pointer rests on its still, or the keyboard is there.

const REST_MS = 150; // nothing is asked for before
const FRAME_MS = 650;
const still = matchMedia("(prefers-reduced-motion: reduce)");
let at = null; // the still that is looked at
let timer = 0;

function look(/** @type {Event} */ event) {
  const link = /** @type {Element} */ (event.target).closest?.("[data-glimpses]");
  if (event.pointerType === "touch" || still.matches) return;
  if (event.type === "focusin" && !link?.matches(":focus-visible")) return;
  if (link !== at) leave();
  if (!link || link.querySelector(".glimpse")) return;
  at = link;
  clearTimeout(timer);
  timer = setTimeout(() => show(link, link.dataset.glimpses.split(" "), 0), REST_MS);
}

/** Show one frame after the other, each when it has come; frames that cannot be had are left out. */
async function show(/** @type {Element} */ link, /** @type {string[]} */ frames, /** @type {number} */ n) {
  const image = new Image();
  image.className = "glimpse";
  image.alt = "";
  image.src = frames[n % frames.length];
  const came = await image.decode().then(() => true, () => false);
  if (at !== link || (!came && n >= frames.length)) return;
  if (came) {
    link.querySelector(".glimpse")?.remove();
    link.querySelector("img").after(image);
  }
  timer = setTimeout(() => show(link, frames, n + 1), came ? FRAME_MS : 0);
}

function leave() {
  clearTimeout(timer);
  at?.querySelector(".glimpse")?.remove();
  at = null;
}

for (const moved of ["pointermove", "pointerover", "focusin"]) document.addEventListener(moved, look);
document.addEventListener("focusout", leave);
document.addEventListener("pointerleave", leave);
