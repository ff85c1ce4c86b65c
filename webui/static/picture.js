// Search by picture: choose, paste or drop one; it stands in the field as a chip.

const form = /** @type {HTMLFormElement | null} */ (document.getElementById("by-picture"));
const search = /** @type {HTMLFormElement} */ (document.getElementById("search"));
const area = document.getElementById("area");
const chip = () => search.querySelector(".chip");

if (form) {
  const files = /** @type {HTMLInputElement} */ (form.elements.picture);
  document.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target).closest("[data-choose], [data-off]");
    if (!target || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (target.matches("[data-off]")) takeAway();
    else files.click();
  });
  search.elements.q.addEventListener("keydown", (event) => {
    if (event.key === "Backspace" && !event.target.value && chip()) takeAway();
  });
  files.addEventListener("change", () => give(files.files));
  document.addEventListener("paste", (event) => give(event.clipboardData.files, event));
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      const over = name !== "drop" && !(name === "dragleave" && !event.relatedTarget);
      document.body.classList.toggle("dropping", over);
      if (name === "drop") give(event.dataTransfer.files);
    });
  }
}

/** Send a picture and search for it; what it cannot be is said below the field. */
async function give(/** @type {FileList} */ files, /** @type {Event | undefined} */ event) {
  const file = files[0];
  if (!file) return;
  event?.preventDefault();
  refuse("");
  if (file.size > +form.dataset.most) return refuse("The picture is larger than 20 MB.");
  const mine = stand(file);
  const body = new FormData(form);
  body.set("picture", file);
  body.set("name", file.name);
  form.reset();
  const said = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } })
    .then((answer) => answer.json())
    .catch(() => ({ error: "Heimdex does not answer. Is it running?" }));
  if (chip() !== mine) return; // another one came, or it was taken away
  if (said.error) {
    remove();
    return refuse(said.error);
  }
  const field = mine.querySelector("input");
  field.value = said.picture;
  field.disabled = false;
  mine.removeAttribute("aria-busy");
  history.replaceState({ htmx: true }, ""); // so that going back asks for that page again
  history.pushState({ htmx: true }, "");
  area.classList.remove("htmx-request");
  search.requestSubmit();
}

/** Put a picture into the field, in place of the one that is there. */
function stand(/** @type {File} */ file) {
  remove();
  const made = document.getElementById("chip").content.cloneNode(true).firstElementChild;
  const image = new Image();
  image.src = URL.createObjectURL(file);
  image.alt = "";
  made.querySelector(".icon").replaceWith(image);
  made.querySelector(".what").textContent = file.name || "Your picture";
  search.elements.q.after(made);
  search.elements.q.placeholder = "Add words";
  document.getElementById("summary").textContent = "Looking at the picture …";
  area.classList.add("htmx-request");
  return made;
}

function remove() {
  const image = chip()?.querySelector("img[src^=blob]");
  if (image) URL.revokeObjectURL(image.src);
  chip()?.remove();
  search.elements.q.placeholder = form.dataset.placeholder;
  area.classList.remove("htmx-request");
}

function takeAway() {
  remove();
  refuse("");
  search.elements.q.focus();
  htmx.ajax("get", search.action, { source: search, target: "#found" });
}

function refuse(/** @type {string} */ why) {
  document.getElementById("refused").textContent = why;
}
