// Boxes around faces and text over the player: asked for a minute at a time, when they are wanted.
import { say } from "./app.js";

const WINDOW_MS = 60000; // as webui/boxes.py says it
const LABEL_PX = 14;
const LETTER = 0.6; // its width, of its height
const SVG = "http://www.w3.org/2000/svg";

/** Let a button draw boxes over a <film-player>. They follow its time and lie on the picture itself:
 * the view box has its shape, so the browser leaves out the bars around it as the video does. */
export function drawOver(player, /** @type {HTMLElement | null} */ button) {
  if (!button) return;
  const video = /** @type {HTMLVideoElement} */ (player.video);
  const svg = document.createElementNS(SVG, "svg");
  const known = new Map(); // start of a minute -> its boxes
  let on = false;
  let asked = false; // the button was pressed just now
  svg.classList.add("boxes");
  svg.setAttribute("aria-hidden", "true");
  player.append(svg);
  button.hidden = false;
  button.addEventListener("click", () => {
    on = asked = !on;
    button.setAttribute("aria-pressed", String(on));
    if (on) video.removeAttribute("poster"); // the best frame of the scene is not the one of now
    draw();
    follow();
  });
  for (const moved of ["timeupdate", "seeked", "loadeddata"]) video.addEventListener(moved, draw);

  /** Draw each frame where browsers tell; others tell the time four times a second. */
  function follow() {
    if (!on || !video.requestVideoFrameCallback) return;
    video.requestVideoFrameCallback(() => {
      draw();
      follow();
    });
  }

  async function ask(/** @type {number} */ minute) {
    known.set(minute, null); // it is on its way
    const address = button.dataset.boxes.replace(/-0\.json$/, `-${minute.toString(36)}.json`);
    try {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(String(answer.status));
      known.set(minute, (await answer.json()).boxes);
    } catch {
      known.delete(minute);
      if (on) button.click();
      return say("The boxes cannot be had now.");
    }
    draw();
  }

  function draw() {
    svg.replaceChildren();
    const [width, height] = [video.videoWidth, video.videoHeight];
    if (!on || !width) return;
    const now = player.now;
    const minute = Math.floor(now / WINDOW_MS) * WINDOW_MS;
    if (!known.has(minute)) return void ask(minute);
    if (!known.get(minute)) return;
    const unit = Math.max(width / video.clientWidth, height / video.clientHeight);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    for (const box of known.get(minute)) {
      if (now < box.start_ms || now >= box.end_ms || !box.places.length) continue;
      const [x, y, w, h] = placeAt(box.places, now);
      const group = svg.appendChild(document.createElementNS(SVG, "g"));
      group.classList.add(box.kind);
      add(group, "rect", { x: x * width, y: y * height, width: w * width, height: h * height });
      const above = y * height - 6 * unit;
      const size = LABEL_PX * unit;
      const label = above > size ? above : (y + h) * height + size + 2 * unit;
      const text = { x: x * width, y: label, "font-size": size, "stroke-width": 3 * unit };
      const room = Math.floor(((1 - x) * width) / (size * LETTER));
      const short = box.label.length > room ? `${box.label.slice(0, room - 1)}…` : box.label;
      add(group, "text", text).textContent = short;
    }
    if (asked && !svg.firstChild) say("No faces and no text were found at this second.");
    asked = false;
  }
}

function add(/** @type {Element} */ group, /** @type {string} */ name, said) {
  const made = group.appendChild(document.createElementNS(SVG, name));
  for (const [key, value] of Object.entries(said)) made.setAttribute(key, String(value));
  return made;
}

/** Return x, y, width, height at a time: between two places, or at the nearest one. */
function placeAt(places, /** @type {number} */ ms) {
  const later = places.findIndex((one) => one[0] > ms);
  const [one, two] = [places.at(later < 0 ? -1 : Math.max(0, later - 1)), places.at(later)];
  const share = later > 0 ? (ms - one[0]) / (two[0] - one[0]) : 0;
  return one.slice(1).map((from, n) => from + (two[n + 1] - from) * share);
}
