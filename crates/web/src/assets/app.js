// Comfort only: every page works without this file.
// Copy buttons, relative times that stay true, menus that close on Escape or a click elsewhere, and pages that follow
// what others do while they are open.

const UNITS = [
  ["d", 86400],
  ["h", 3600],
  ["min", 60],
];

/** The same words the server writes: "in 3 h", "5 min ago", "now". */
function relative(then, now) {
  const seconds = Math.round((then - now) / 1000);
  const size = Math.abs(seconds);
  for (const [word, length] of UNITS) {
    // A day is said from 48 hours on, so that a deadline keeps its hours.
    if (size >= (word === "d" ? 2 * length : length)) {
      const count = Math.floor(size / length);
      return seconds < 0 ? `${count} ${word} ago` : `in ${count} ${word}`;
    }
  }
  return seconds <= 0 ? "just now" : "in less than a minute";
}

function refreshTimes() {
  const now = Date.now();
  for (const time of document.querySelectorAll("time[datetime]")) {
    const then = Date.parse(time.dateTime);
    const words = time.querySelector(".relative");
    if (words && !Number.isNaN(then)) words.textContent = relative(then, now);
  }
}

const announcer = document.createElement("p");
announcer.className = "visually-hidden";
announcer.setAttribute("role", "status");
document.body.append(announcer);

function addCopyButtons(part) {
  if (!navigator.clipboard) return;
  for (const value of part.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    const label = `Copy ${value.dataset.copy}`;
    button.setAttribute("aria-label", label);
    button.title = label;
    const icon = document.querySelector("#copy-icon");
    button.append(icon ? icon.content.cloneNode(true) : "Copy");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(value.textContent.trim());
        button.classList.add("copied");
        announcer.textContent = `Copied ${value.dataset.copy}`;
      } catch {
        announcer.textContent = "Copying is not allowed here";
      }
      setTimeout(() => button.classList.remove("copied"), 1500);
    });
    value.after(button);
  }
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
}

document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.menu[open]");
  closeMenus(null);
  open?.querySelector("summary")?.focus();
});

// A second press of a button that decides must not send a second request.
const sent = new Set();
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (sent.has(form)) event.preventDefault();
  if (form.method !== "post") return;
  sent.add(form);
  // What takes long shows that it goes on.
  if (!event.defaultPrevented) document.body.dataset.waits = "";
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
});
// A page that comes back from the browser's cache must be usable again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

addCopyButtons(document);
refreshTimes();
// Parts that other scripts have put into the page.
document.addEventListener("loopiq:part", (event) => {
  addCopyButtons(event.detail);
  refreshTimes();
});
setInterval(refreshTimes, 30000);

// On paper everything is unfolded, also where the style alone cannot do it; afterwards it is as it was.
let unfolded = [];
window.addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("main details:not([open]):not(.menu)")];
  for (const fold of unfolded) fold.open = true;
});
window.addEventListener("afterprint", () => {
  for (const fold of unfolded) fold.open = false;
});

// Live pages. The stream says how long the organization's log is. A page that was made at a shorter one asks for itself
// again, as it was asked for the first time, and takes over the parts that differ.

/** Milliseconds after which is tried again what did not work, or had to wait for the person. */
const LATER = 30000;
/** Milliseconds over which the pages that hear of the same change spread their requests. */
const SPREAD = 300;

const main = document.querySelector("main[data-live]");
let stream = null;
/** The length that was heard of last. */
let heard = 0;
let looking = false;
let soon = 0;
let later = 0;
/** Whether something waits until the person has stopped typing. */
let waits = false;
/** Whether the person is on the way to another page. */
let left = false;

/** A part without what this script and the passing of time make of it. */
function shape(part) {
  const copy = part.cloneNode(true);
  for (const made of copy.querySelectorAll(".copy, .relative")) made.remove();
  for (const fold of [copy, ...copy.querySelectorAll("details")]) fold.removeAttribute("open");
  copy.removeAttribute("tabindex");
  return copy.outerHTML;
}

/** Whether the person types in a part, has written something that was not sent, or has marked text in it. */
function busy(part) {
  const fields = part.querySelectorAll("textarea, select, input:not([type=hidden])");
  const unsent = (field) => field.checked !== field.defaultChecked ||
    ("defaultValue" in field && field.value !== field.defaultValue);
  const marked = document.getSelection();
  return part.querySelector("form[aria-busy=true]") !== null ||
    [...fields].some((field) => field === document.activeElement || unsent(field)) ||
    (!marked.isCollapsed && part.contains(marked.anchorNode));
}

/** The children of an element, each under a name that it has in the next version too. */
function named(element) {
  const seen = {};
  return [...element.children].map((child) => {
    const name = child.id || `${child.localName}.${child.classList[0] ?? ""}`;
    seen[name] = (seen[name] ?? 0) + 1;
    return [`${name} ${seen[name]}`, child];
  });
}

/** What was unfolded stays unfolded. A function that puts the focus back when the new part is in its place. */
function carry(before, after) {
  const title = (fold) => fold.querySelector("summary")?.textContent.replace(/\d+/g, "");
  const open = new Set([...before.querySelectorAll("details[open]")].map(title));
  for (const fold of after.querySelectorAll("details")) if (open.has(title(fold))) fold.open = true;
  const focused = document.activeElement;
  if (!before.contains(focused)) return () => {};
  const same = (one) => ["id", "href", "aria-label"].every((name) => one.getAttribute(name) === focused.getAttribute(name)) &&
    one.textContent.trim() === focused.textContent.trim();
  const twin = [...after.querySelectorAll(focused.localName)].find(same);
  if (!twin) after.tabIndex = -1;
  return () => (twin ?? after).focus({ preventScroll: true });
}

/** Makes an element what it is in a newer version of the page; adds the parts that are new to `changed`. */
function renew(element, newer, changed) {
  const before = new Map(named(element));
  const focus = [];
  const next = named(newer).map(([name, child]) => {
    const old = before.get(name);
    before.delete(name);
    if (old && "parts" in child.dataset) {
      renew(old, child, changed);
      return old;
    }
    if (old && shape(old) === shape(child)) return old;
    if (old && busy(old)) {
      waits = true;
      return old;
    }
    addCopyButtons(child);
    if (old) {
      focus.push(carry(old, child));
      before.set(name, old);
    }
    changed.push(child);
    return child;
  });
  // What is left is gone or replaced; but nothing is taken away under somebody's hands.
  const stays = new Set();
  for (const old of before.values()) {
    if (busy(old)) stays.add(old);
    else old.remove();
  }
  if (stays.size > 0) waits = true;
  let at = element.firstElementChild;
  for (const child of next) {
    while (stays.has(at)) at = at.nextElementSibling;
    if (child === at) at = at.nextElementSibling;
    else element.insertBefore(child, at);
  }
  for (const back of focus) back();
}

function announce(changed) {
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  for (const part of calm ? [] : changed) {
    part.animate([{ outline: "2px solid var(--accent)" }, { outline: "2px solid transparent" }], 1500);
  }
  const titles = changed.map((part) => part.querySelector("h1, h2, strong")?.firstChild?.textContent.trim());
  if (changed.length > 0) announcer.textContent = `Updated: ${titles.filter(Boolean).join(", ")}`;
}

/** The page is no longer this person's, or no longer there: the server says so better. */
function leave() {
  close();
  left = true;
  if (!busy(main)) window.location.reload();
}

async function look() {
  if (looking || left) return;
  looking = true;
  waits = false;
  try {
    // Marked, so that a page which looks by itself does not keep its session from becoming idle.
    const headers = { "loopiq-unattended": "1" };
    const answer = await fetch(window.location.href, { headers, cache: "no-store", redirect: "manual" });
    if (answer.status === 429 || answer.status >= 500) throw new Error("not now");
    const newer = new DOMParser().parseFromString(await answer.text(), "text/html");
    const there = newer.querySelector("main[data-live]");
    if (left) return;
    if (there?.dataset.organization !== main.dataset.organization) return leave();
    const changed = [];
    renew(main, there, changed);
    main.dataset.live = there.dataset.live;
    document.title = newer.title;
    refreshTimes();
    announce(changed);
  } catch {
    waits = true;
  } finally {
    looking = false;
  }
  clearTimeout(later);
  if (waits) later = setTimeout(look, LATER);
  else lookIfBehind();
}

function lookIfBehind() {
  if (heard <= Number(main.dataset.live) || looking) return;
  clearTimeout(soon);
  soon = setTimeout(look, Math.random() * SPREAD);
}

function close() {
  stream?.close();
  stream = null;
}

function listen() {
  if (stream || left || document.hidden) return;
  stream = new EventSource("/app/events");
  stream.addEventListener("message", (event) => {
    heard = Number(event.data);
    lookIfBehind();
  });
  stream.addEventListener("error", () => {
    // A lost connection is made again by the browser. One that was refused is not: perhaps the session has ended.
    if (stream?.readyState !== EventSource.CLOSED) return;
    close();
    look();
    setTimeout(listen, LATER);
  });
}

if (main) {
  listen();
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : listen()));
  main.addEventListener("focusout", () => waits && setTimeout(look));
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    left = true;
    close();
  });
  window.addEventListener("pagehide", close);
}
