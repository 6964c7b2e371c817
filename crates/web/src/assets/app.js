// Comfort only: every page works without this file.
// Copy buttons, relative times that stay true, menus that close on Escape or a click elsewhere.

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
  return seconds < 0 ? "just now" : "in less than a minute";
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

function addCopyButtons() {
  if (!navigator.clipboard) return;
  for (const value of document.querySelectorAll("[data-copy]")) {
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
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => {
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
    form.addEventListener("submit", (again) => again.preventDefault());
  });
}
// A page that comes back from the browser's cache must be usable again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

addCopyButtons();
refreshTimes();
setInterval(refreshTimes, 30000);
