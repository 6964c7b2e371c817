// The palette: search over the page that is open, by Ctrl-K or ⌘-K or the link in the bar. It shows what the page of
// the search lists, so that there is one search. A combobox as WAI-ARIA Authoring Practices describe it.

/** Milliseconds without a key after which is searched. */
const PAUSE = 120;

const link = document.querySelector("a[data-palette]");
const dialog = document.createElement("dialog");
const input = document.createElement("input");
const list = document.createElement("div");
const says = document.createElement("p");
let options = [];
let at = -1;
let wait = 0;
let asked = 0;

function build() {
  dialog.className = "palette";
  dialog.setAttribute("aria-label", "Search");
  input.type = "text";
  input.placeholder = "Search pages, things to do and records";
  const attributes = {
    role: "combobox", "aria-label": "Search", "aria-autocomplete": "list", "aria-expanded": "false",
    "aria-controls": "palette-list", autocomplete: "off", spellcheck: "false", maxlength: "200",
  };
  for (const [name, value] of Object.entries(attributes)) input.setAttribute(name, value);
  list.id = "palette-list";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Found");
  says.className = "hint";
  says.setAttribute("role", "status");
  const head = document.createElement("div");
  head.className = "palette-head";
  const icon = link.querySelector(".icon");
  if (icon) head.append(icon.cloneNode(true));
  head.append(input);
  dialog.append(head, list, says);
  document.body.append(dialog);
  input.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(search, PAUSE);
  });
  input.addEventListener("keydown", key);
  // A press beside the panel closes it.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => clearTimeout(wait));
}

function open() {
  if (dialog.open) return;
  if (!dialog.isConnected) build();
  input.value = "";
  show([]);
  dialog.showModal();
  input.focus();
  search();
}

async function search() {
  const mine = (asked += 1);
  const address = new URL(link.href);
  address.searchParams.set("q", input.value);
  try {
    const answer = await fetch(address, { cache: "no-store", redirect: "manual" });
    if (!answer.ok) throw new Error("refused");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== asked) return;
    show([...page.querySelectorAll("#results section")]);
  } catch {
    // The page of the search says better what is the matter.
    if (mine === asked) says.textContent = "That did not work; press Enter to search on a page of its own.";
  }
}

function show(sections) {
  options = [];
  list.replaceChildren(...sections.map((section) => {
    const group = document.createElement("div");
    const title = section.querySelector("h2");
    const name = document.createElement("p");
    name.id = `palette-${section.id}`;
    name.className = "menu-title";
    name.textContent = title.firstChild.textContent;
    group.setAttribute("role", "group");
    group.setAttribute("aria-labelledby", name.id);
    const found = [...section.querySelectorAll("li")].map((item) => {
      const option = document.createElement("div");
      const to = item.querySelector("a");
      option.setAttribute("role", "option");
      option.id = `palette-option-${options.length}`;
      option.dataset.href = to.getAttribute("href");
      const about = document.createElement("span");
      about.className = "muted";
      about.textContent = item.querySelector(".muted")?.textContent ?? "";
      option.append(to.textContent, about);
      option.addEventListener("click", () => go(option));
      option.addEventListener("pointermove", () => choose(options.indexOf(option)));
      options.push(option);
      return option;
    });
    group.append(name, ...found);
    return group;
  }));
  input.setAttribute("aria-expanded", String(options.length > 0));
  choose(options.length > 0 ? 0 : -1);
  says.textContent = options.length > 0 ? `${options.length} found. Arrows choose, Enter opens.` : "Nothing found";
}

function choose(index) {
  options[at]?.removeAttribute("aria-selected");
  at = index;
  const option = options[at];
  if (!option) return input.removeAttribute("aria-activedescendant");
  option.setAttribute("aria-selected", "true");
  input.setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
}

/** Only to pages of this place, whatever was found. */
function go(option) {
  const to = new URL(option?.dataset.href ?? link.href, window.location.href);
  if (!option) to.searchParams.set("q", input.value);
  if (to.origin !== window.location.origin) return;
  dialog.close();
  window.location.assign(to);
}

function key(event) {
  const last = options.length - 1;
  const next = { ArrowDown: at < last ? at + 1 : 0, ArrowUp: at > 0 ? at - 1 : last }[event.key];
  if (next !== undefined) {
    event.preventDefault();
    if (last >= 0) choose(next);
  } else if (event.key === "Enter") {
    event.preventDefault();
    go(options[at]);
  }
}

if (link) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    open();
  });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (dialog.open) dialog.close();
      else open();
    }
  });
}
