// <film-player>: a <video> that knows film time. It plays the file itself, or minutes cut from it
// that follow one another; the transcript and the strip around it go along.

import { drawOver } from "./boxes.js";

const AHEAD_S = 20; // the next clip is asked for when so much is left of this one
const CLIP_LEAD_MS = 5000;
const LENGTHS_S = [10, 20, 40, 60]; // of clips that follow one another: playing begins soon

class FilmPlayer extends HTMLElement {
  connectedCallback() {
    this.video = this.querySelector("video");
    this.note = this.querySelector(".player-note");
    this.base = +this.dataset.base; // film time of the video's second 0, in ms
    this.end = +this.dataset.end;
    this.direct = "direct" in this.dataset;
    this.asked = 0;
    this.step = 0; // how many clips have followed one another
    const video = this.video;
    video.addEventListener("timeupdate", () => this.tell());
    video.addEventListener("loadeddata", () => (this.note.textContent = ""));
    video.addEventListener("ended", () => this.goOn());
    video.addEventListener("error", () => this.failed());
    video.querySelector("source")?.addEventListener("error", () => this.failed());
    // What happened before this script came is not told again.
    if (video.readyState >= 2) this.note.textContent = "";
    if (video.error || video.networkState === HTMLMediaElement.NETWORK_NO_SOURCE) this.failed();
    const stage = this.closest(".theatre");
    stage?.addEventListener("click", (event) => this.clicked(event));
    if (stage) document.addEventListener("keydown", (event) => this.pressed(event));
    drawOver(this, stage?.querySelector("[data-boxes]"));
  }

  /** Film time now, in ms. */
  get now() {
    return this.base + this.video.currentTime * 1000;
  }

  /** Play from this film time. */
  seek(/** @type {number} */ ms) {
    this.hidden = false;
    if (this.direct || (ms >= this.base && ms < this.end)) {
      this.video.currentTime = (ms - this.base) / 1000;
    } else {
      this.load(clipStart(ms), ms);
    }
    this.video.play().catch(() => {});
  }

  /** Put the clip from startMs into the player. */
  load(/** @type {number} */ startMs, /** @type {number} */ atMs, step = 0) {
    this.direct = false;
    this.base = startMs;
    this.step = step;
    this.end = Math.min(startMs + length(step) * 1000, +this.dataset.duration);
    this.note.textContent = "Cutting this part for your browser …";
    this.video.controls = true;
    this.video.src = `${this.clip(startMs, step)}#t=${(atMs - startMs) / 1000}`;
  }

  clip(/** @type {number} */ ms, /** @type {number} */ step) {
    return this.dataset.clips.replace(/-0\.mp4$/, `-${ms.toString(36)}.mp4?s=${length(step)}`);
  }

  /** Return the shared address of what plays now: `given` names another second of this film. */
  share(/** @type {string} */ given) {
    return given.replace(/-[0-9a-z]+$/, `-${Math.floor(this.now).toString(36)}`);
  }

  goOn() {
    if (this.direct || this.end >= +this.dataset.duration) return;
    this.load(this.end, this.end, this.step + 1);
    this.video.play().catch(() => {});
  }

  /** The browser cannot play the file after all: a clip it can always play. */
  failed() {
    if (this.direct) return this.load(clipStart(+this.dataset.at), +this.dataset.at);
    this.note.textContent = "This cannot be played: the film is away, or it cannot be read.";
    this.video.controls = false;
    this.video.removeAttribute("src");
    this.video.replaceChildren();
    this.video.load();
  }

  /** Take the transcript and the strip along. */
  tell() {
    const now = this.now;
    if (!this.direct && this.end - now < AHEAD_S * 1000) this.prepare();
    const stage = this.closest(".theatre");
    if (!stage) return;
    stage.querySelector(".head")?.setAttribute("x", String(Math.floor(now / 100)));
    const lines = [...stage.querySelectorAll(".lines a")];
    const line = lines.findLast((one) => +one.dataset.ms <= now);
    const before = stage.querySelector(".lines .now");
    if (!line || line.parentElement === before) return;
    before?.classList.remove("now");
    before?.firstElementChild.removeAttribute("aria-current");
    line.parentElement.classList.add("now");
    line.setAttribute("aria-current", "true");
    follow(line.parentElement);
  }

  /** Have the next clip cut while this one plays. */
  prepare() {
    if (this.asked === this.end || this.end >= +this.dataset.duration) return;
    this.asked = this.end;
    fetch(this.clip(this.end, this.step + 1), { headers: { Range: "bytes=0-0" } }).catch(() => {});
  }

  clicked(/** @type {MouseEvent} */ event) {
    const link = /** @type {Element} */ (event.target).closest("[data-ms]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.replaceState(history.state, "", link.getAttribute("href"));
    this.seek(+link.dataset.ms);
  }

  pressed(/** @type {KeyboardEvent} */ event) {
    const at = /** @type {Element} */ (document.activeElement);
    if (event.key !== " " || at.closest("a, button, input, video, dialog, [tabindex='0']")) return;
    event.preventDefault();
    if (this.video.paused) this.video.play().catch(() => {});
    else this.video.pause();
  }
}

function length(/** @type {number} */ step) {
  return LENGTHS_S[Math.min(step, LENGTHS_S.length - 1)];
}

/** Return where the clip for a moment begins, as companion/playback.py says it. */
function clipStart(/** @type {number} */ ms) {
  return Math.max(0, Math.floor((ms - CLIP_LEAD_MS) / 1000) * 1000);
}

/** Bring a line into the middle of its list without moving the page. */
export function follow(/** @type {HTMLElement} */ line) {
  const list = line.parentElement;
  if (list.matches(":hover, :focus-within")) return; // somebody is reading there
  list.scrollTop = line.offsetTop - list.clientHeight / 2 + line.offsetHeight / 2;
}

customElements.define("film-player", FilmPlayer);
for (const line of document.querySelectorAll(".side .lines .now")) follow(line);
