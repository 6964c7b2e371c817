// Comfort only: the assistant has a page of its own, which works without this file.
// Opens that page's conversation beside whatever page one is on, sends questions without leaving the page, shows answers while
// they are made and stops them, and keeps the panel open from page to page.

const OPEN = "loopiq-helix";
/** Set while the conversation's own page is loaded again because something was asked there. */
const ASKED = "loopiq-helix-asked";
/** How often, and after how many milliseconds, it is looked whether an answer that was stopped has been kept. */
const LOOKS = 20;
const LOOK_AFTER = 300;
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

function button(words, deed) {
  const one = document.createElement("button");
  one.type = "button";
  one.className = "button small";
  one.textContent = words;
  one.addEventListener("click", deed);
  return one;
}

/** A line is sent by Enter, as everywhere where one talks; Shift makes a new one. */
function sendByEnter(event) {
  const writes = event.target.closest(".asking textarea");
  if (!writes || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (writes.value.trim()) writes.form.requestSubmit();
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
    sendByEnter(event);
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

/** The question with the answer to it while it is made: text, the tools that are called, and a button that stops it. */
function underway(talk, words, stop) {
  const turn = document.createElement("li");
  turn.className = "underway";
  const question = document.createElement("p");
  question.className = "question";
  question.textContent = words;
  const answer = document.createElement("div");
  answer.className = "growing";
  const text = document.createElement("p");
  text.className = "streamed";
  const calls = document.createElement("ul");
  calls.className = "calls plain";
  const state = document.createElement("p");
  state.className = "hint";
  state.textContent = "Reading …";
  const row = document.createElement("div");
  row.className = "buttons";
  row.append(button("Stop", stop));
  answer.append(calls, text, state, row);
  turn.append(question, answer);
  let turns = talk.querySelector(".turns");
  if (!turns) {
    turns = document.createElement("ol");
    turns.className = "turns";
    talk.prepend(turns);
  }
  for (const before of talk.querySelectorAll(".welcome, .turns .offers")) before.hidden = true;
  turns.append(turn);
  turn.scrollIntoView({ block: "start" });
  return {
    text: ({ text: more }) => {
      text.textContent += more;
      state.textContent = "Writing …";
    },
    calling: ({ tool }) => {
      const call = document.createElement("li");
      const name = document.createElement("code");
      name.textContent = tool;
      call.append(name, " …");
      calls.append(call);
      // What it said on the way to a tool is not the answer.
      text.textContent = "";
      state.textContent = "Reading …";
    },
    called: ({ outcome }) => {
      const call = calls.lastElementChild;
      if (call) call.lastChild.textContent = ` ${outcome}`;
    },
    refused: ({ message, remedy }) => {
      state.textContent = `${message}. ${remedy}`;
      row.remove();
    },
    remove: () => turn.remove(),
  };
}

/** The events of a stream, each as its name and its data. */
async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    let end;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      const lines = rest.slice(0, end).split("\n");
      rest = rest.slice(end + 2);
      const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      if (field("event")) yield [field("event"), JSON.parse(field("data") ?? "null")];
    }
  }
}

/** Where a conversation with this many questions is to be read, as soon as the last answer to it has been kept. */
async function kept(to, questions) {
  for (let look = 0; look < LOOKS; look += 1) {
    await new Promise((wake) => setTimeout(wake, LOOK_AFTER));
    const answer = await fetch(to, { cache: "no-store" });
    if (!answer.ok) continue;
    const page = new DOMParser().parseFromString(await answer.clone().text(), "text/html");
    if (page.querySelectorAll("#helix .turn").length > questions) return answer;
  }
  return null;
}

/** Follows an answer. What comes back is the conversation's page afterwards, or null when something better is to be shown. */
async function follow(answer, live, questions, stopping) {
  let to = null;
  try {
    for await (const [name, data] of events(answer)) {
      if (name === "begun") to = data.to;
      else if (name === "done") return fetch(data.to, { cache: "no-store" });
      else live[name]?.(data);
      if (name === "refused") return null;
    }
  } catch (error) {
    if (!stopping.aborted) throw error;
  }
  return to ? kept(to, questions) : null;
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
  const stop = new AbortController();
  const words = form.querySelector("[name=text]")?.value ?? "";
  const onPage = panel === null;
  let live = null;
  try {
    const talk = onPage ? document.querySelector("#helix") : panel.querySelector(".talk");
    const questions = talk.querySelectorAll(".turn").length;
    const fields = new URLSearchParams(new FormData(form, event.submitter));
    const asks = form.querySelector("[name=text]") !== null;
    if (asks) {
      live = underway(talk, words, () => stop.abort());
      const written = form.querySelector("textarea");
      if (written) written.value = "";
    }
    const headers = asks ? { Accept: "text/event-stream" } : {};
    let answer = await fetch(form.action, { method: "POST", body: fields, headers, signal: stop.signal });
    if (answer.headers.get("content-type")?.startsWith("text/event-stream")) {
      answer = await follow(answer, live, questions, stop.signal);
      if (!answer) {
        announcer.textContent = "That could not be answered.";
        return;
      }
    }
    if (onPage) {
      sessionStorage.setItem(ASKED, "1");
      window.location.assign(answer.url);
    }
    else if (!(await take(answer))) window.location.assign(answer.redirected ? answer.url : form.action);
  } catch {
    live?.remove();
    const written = form.querySelector("textarea");
    if (written && !written.value) written.value = words;
    announcer.textContent = "That could not be sent. Try again.";
  } finally {
    form.removeAttribute("aria-busy");
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
  // Buttons of other pages that ask something are answered beside them.
  for (const form of document.querySelectorAll("form[data-helix]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (busy) return;
      await open("");
      if (panel) send({ target: form, submitter: event.submitter, preventDefault() {}, stopPropagation() {} });
    });
  }
  // Where there is room beside the page, the conversation goes along.
  if (remembered() !== null && window.matchMedia("(min-width: 80rem)").matches) open(remembered());
}

// On its own page, questions are sent and answered in place.
const own = document.querySelector("#helix");
if (own) {
  own.append(announcer);
  if (sessionStorage.getItem(ASKED)) own.querySelector(".turn:last-child")?.scrollIntoView({ block: "start" });
  sessionStorage.removeItem(ASKED);
  own.addEventListener("keydown", sendByEnter);
  own.addEventListener("submit", (event) => {
    if (event.target.querySelector("[name=text]")) send(event);
  });
}
