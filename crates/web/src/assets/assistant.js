// Comfort only: the assistant has a page of its own, which works without this file.
// Opens that page's conversation beside whatever page one is on, sends questions without leaving the page, and keeps the
// panel open from page to page.

const OPEN = "loopiq-helix";
const link = document.querySelector("a[data-assistant]");
const announcer = document.createElement("p");
announcer.className = "visually-hidden";
announcer.setAttribute("role", "status");
let panel = null;
let busy = false;

/** Which conversation is open beside the pages of this tab: its id, an empty text for a new one, null for none. */
const remembered = () => sessionStorage.getItem(OPEN);

/** The address of a conversation, asked from this page. */
function address(id) {
  const url = new URL(link.href);
  if (id) url.pathname += `/${id}`;
  return url;
}

/** Ids in the panel become its own, because the page beside it may have the same. */
function separate(part) {
  const own = (id) => `helix-${id}`;
  for (const one of part.querySelectorAll("[id]")) one.id = own(one.id);
  for (const name of ["for", "aria-labelledby", "aria-describedby"]) {
    for (const one of part.querySelectorAll(`[${name}]`)) one.setAttribute(name, own(one.getAttribute(name)));
  }
  for (const one of part.querySelectorAll('a[href^="#"]')) one.setAttribute("href", `#${own(one.hash.slice(1))}`);
}

/** Takes a conversation out of its page. False when the page has none: then the server says something better. */
async function take(answer) {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const talk = page.querySelector("#helix");
  if (!talk || !panel) return false;
  sessionStorage.setItem(OPEN, talk.dataset.conversation ?? "");
  talk.removeAttribute("id");
  talk.classList.remove("panel");
  separate(talk);
  panel.querySelector(".talk").replaceWith(talk);
  const turns = talk.querySelectorAll(".turn");
  const last = turns[turns.length - 1];
  if (last) last.scrollIntoView({ block: "start" });
  // On a phone the keyboard would cover the answer.
  const roomy = window.matchMedia("(min-width: 52rem)").matches;
  if (roomy) talk.querySelector(".asking textarea")?.focus({ preventScroll: true });
  announcer.textContent = last ? last.querySelector(".answer p, .answer .note")?.textContent ?? "" : "";
  document.dispatchEvent(new CustomEvent("loopiq:part", { detail: talk }));
  return true;
}

async function show(id) {
  const answer = await fetch(address(id), { cache: "no-store" });
  if (answer.status === 404 && id) return show("");
  if (!answer.ok || !(await take(answer))) window.location.assign(address(id));
}

function close() {
  sessionStorage.removeItem(OPEN);
  panel?.remove();
  panel = null;
  document.body.classList.remove("with-helix");
  link.setAttribute("aria-expanded", "false");
  link.focus();
}

/** The panel, with nothing in it yet. */
function frame() {
  const made = document.createElement("aside");
  made.className = "helix";
  made.setAttribute("aria-label", "Helix");
  const head = document.createElement("div");
  head.className = "helix-head";
  const title = document.createElement("strong");
  title.textContent = "Helix";
  const button = (words, deed) => {
    const one = document.createElement("button");
    one.type = "button";
    one.className = "button small";
    one.textContent = words;
    one.addEventListener("click", deed);
    return one;
  };
  const whole = document.createElement("a");
  whole.textContent = "Open as a page";
  whole.href = link.href;
  whole.addEventListener("click", () => {
    whole.href = address(remembered());
    sessionStorage.removeItem(OPEN);
  });
  head.append(title, whole, button("New", () => show("")), button("Close", close));
  const talk = document.createElement("div");
  talk.className = "talk";
  made.append(head, talk, announcer);
  made.addEventListener("submit", send);
  made.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    // A line is sent by Enter, as everywhere where one talks; Shift makes a new one.
    const writes = event.target.closest(".asking textarea");
    if (writes && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (writes.value.trim()) writes.form.requestSubmit();
    }
  });
  return made;
}

async function open(id) {
  if (!panel) {
    panel = frame();
    document.body.append(panel);
    document.body.classList.add("with-helix");
    link.setAttribute("aria-expanded", "true");
  }
  await show(id);
}

/** Questions and decisions are sent from where one is. What the conversation's page does not answer, a page does. */
async function send(event) {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  // What an authenticator must sign first is sent by its own script.
  if (form.querySelector("[name=signed]")) return;
  event.preventDefault();
  // The page's own script holds forms for sent for good; this one stays.
  event.stopPropagation();
  if (busy) return;
  busy = true;
  form.setAttribute("aria-busy", "true");
  announcer.textContent = "Asking …";
  try {
    const fields = new URLSearchParams(new FormData(form, event.submitter));
    const answer = await fetch(form.action, { method: "POST", body: fields });
    if (!(await take(answer))) window.location.assign(answer.redirected ? answer.url : form.action);
  } catch {
    announcer.textContent = "That could not be sent. Try again.";
    form.removeAttribute("aria-busy");
  } finally {
    busy = false;
  }
}

if (link) {
  link.setAttribute("aria-expanded", "false");
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    if (panel) close();
    else open(remembered() ?? "");
  });
  // Where there is room beside the page, the conversation goes along.
  if (remembered() !== null && window.matchMedia("(min-width: 80rem)").matches) open(remembered());
}
