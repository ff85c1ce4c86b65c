// What every page does: dialogs, copying links, numbers and dates as the reader writes them, and
// looking again at what changes. Every page works without this file.
import "./player.js";
import "./strip.js";
import "./glimpse.js";
import "./picture.js";
import { listen as listenToKeys } from "./keys.js";

const LIVE_MS = 2000;
const TOAST_MS = 2500;
const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("dialog"));

// --- dialogs: a part of another page, shown above this one -----------------------------------

/** Show the part of the page at `address` in the dialog; go there if it cannot be had. */
export async function show(/** @type {string} */ address, /** @type {string} */ label) {
  let answer;
  try {
    answer = await fetch(address, { headers: { "HX-Request": "true" } });
  } catch {
    return say("Heimdex does not answer. Is it running?");
  }
  if (!answer.ok || answer.headers.has("HX-Redirect")) return location.assign(address);
  dialog.setAttribute("aria-label", label);
  dialog.innerHTML = await answer.text();
  freshen(dialog);
  dialog.showModal();
}

dialog.addEventListener("close", () => dialog.replaceChildren());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});

document.addEventListener("click", (event) => {
  const target = /** @type {Element} */ (event.target);
  const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.button);
  const link = /** @type {HTMLAnchorElement | null} */ (target.closest("[data-preview], [data-help]"));
  if (link && plain) {
    event.preventDefault();
    show(link.href, link.getAttribute("aria-label") || "Preview");
  }
  if (target.closest("[data-close]")) dialog.close();
  const copy = /** @type {HTMLElement | null} */ (target.closest("[data-copy]"));
  if (copy) copyLink(copy);
});

// --- saying things ---------------------------------------------------------------------------

let toastTimer = 0;

/** Say something for a moment, also to screen readers. */
export function say(/** @type {string} */ text) {
  const toast = document.getElementById("toast");
  const place = dialog.open ? dialog : document.body; // only what is in the dialog is shown above
  place.append(toast);
  toast.textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => {
    toast.textContent = "";
    document.body.append(toast);
  }, TOAST_MS);
}

async function copyLink(/** @type {HTMLElement} */ button) {
  const playing = button.closest(".stage")?.querySelector("film-player");
  const address = playing?.share?.(button.dataset.copy) ?? button.dataset.copy;
  try {
    await navigator.clipboard.writeText(new URL(address, location.href).href);
    say("Link copied");
  } catch {
    // Without https there is no clipboard: the address bar of the link's page does as well.
    location.assign(address);
  }
}

// --- numbers and dates -----------------------------------------------------------------------

/** Write numbers and dates the way the reader does, and show what needs this script. */
function freshen(/** @type {ParentNode} */ part) {
  const numbers = new Intl.NumberFormat();
  for (const data of part.querySelectorAll("data")) data.textContent = numbers.format(+data.value);
  const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of part.querySelectorAll("time[data-when]")) {
    time.textContent = dates.format(new Date(time.dateTime));
  }
  for (const button of part.querySelectorAll("[data-copy]")) button.hidden = false;
  if (dialog.contains(/** @type {Node} */ (part))) {
    for (const button of part.querySelectorAll("[data-close]")) button.hidden = false;
  }
}

// --- parts that change by themselves ---------------------------------------------------------

/** Ask for each [data-live] part again while somebody looks; nothing changed: nothing happens. */
function keepLive() {
  setInterval(() => {
    if (document.visibilityState !== "visible") return;
    for (const part of document.querySelectorAll("[data-live]")) {
      const seen = part.querySelector("[data-seen]")?.dataset.seen ?? "";
      const address = new URL(part.dataset.live, location.href);
      address.searchParams.set("seen", seen);
      htmx.ajax("get", address.pathname + address.search, { target: part, swap: "innerHTML" });
    }
  }, LIVE_MS);
}

// --- results ---------------------------------------------------------------------------------

let submitted = false;

document.addEventListener("submit", (event) => {
  submitted = /** @type {Element} */ (event.target).id === "search";
}, true);

document.addEventListener("htmx:afterSwap", (event) => {
  freshen(event.detail.target);
  if (event.detail.target.id !== "found") return;
  const answer = document.querySelector(".answer");
  document.getElementById("summary").textContent = answer?.dataset.summary ?? "";
  const query = /** @type {HTMLInputElement} */ (document.getElementById("q")).value;
  document.title = query ? `${query} · Heimdex` : "Heimdex";
  if (submitted) document.getElementById("results")?.focus();
  submitted = false;
});

let away = false;
document.addEventListener("htmx:sendError", () => {
  if (!away) say("Heimdex does not answer. Is it running?");
  away = true;
});
document.addEventListener("htmx:beforeOnLoad", () => {
  away = false;
});

freshen(document);
keepLive();
listenToKeys(show, dialog);
