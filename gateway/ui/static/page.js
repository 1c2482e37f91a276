// The page's own script: what changed is fetched again, buttons send, files are dropped.
"use strict";

const told = document.getElementById("told");
const say = (text) => { told.textContent = text; };

const reason = async (answer) => {
  try {
    return (await answer.json()).error.message;
  } catch {
    return `The gateway answered ${answer.status}.`;
  }
};

// Fetch the page again and put its content in place, unless a person is typing in it.
const refresh = async () => {
  const main = document.getElementById("content");
  if (main.contains(document.activeElement) && document.activeElement.matches("input, select")) return;
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement?.textContent;
  main.replaceChildren(...page.getElementById("content").childNodes);
  const same = [...main.querySelectorAll("button, a")].find((each) => each.textContent === focused);
  if (same && document.activeElement === document.body) same.focus();
};

const watched = document.getElementById("content").dataset.watch;
if (watched) {
  new EventSource(watched).addEventListener("changed", refresh);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.copy) {
    await navigator.clipboard.writeText(button.dataset.copy);
    say("Copied.");
  }
  if (button.dataset.post) {
    if (button.dataset.ask && !confirm(button.dataset.ask)) return;
    button.disabled = true;
    const answer = await fetch(button.dataset.post, { method: "POST" });
    button.disabled = false;
    if (!answer.ok) return say(await reason(answer));
    const made = await answer.json();
    if (button.dataset.go) location.href = button.dataset.go + made.id;
    else await refresh();
  }
});

const form = document.getElementById("new");
if (form) {
  const chooser = document.getElementById("file");
  const drop = document.getElementById("drop");
  const looked = document.getElementById("looked");
  const create = document.getElementById("create");
  let chosen = null;
  let endpoint = null;

  const look = async (file) => {
    const head = await file.slice(0, 1 << 20).text();
    const first = head.split("\n").find((line) => line.trim());
    chosen = null;
    create.disabled = true;
    try {
      endpoint = JSON.parse(first).url;
      if (typeof endpoint !== "string") throw new TypeError();
    } catch {
      looked.textContent = `${file.name}: its first line is no JSON object with a url.`;
      return;
    }
    chosen = file;
    create.disabled = false;
    looked.textContent = `${file.name}: ${file.size.toLocaleString()} bytes for ${endpoint}.`;
  };

  chooser.addEventListener("change", () => chooser.files.length && look(chooser.files[0]));
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) look(event.dataTransfer.files[0]);
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!chosen) return;
    create.disabled = true;
    say("Uploading …");
    const body = new FormData();
    body.append("purpose", "batch");
    body.append("file", chosen);
    const uploaded = await fetch("/ui/api/v1/files", { method: "POST", body });
    if (!uploaded.ok) { create.disabled = false; return say(await reason(uploaded)); }
    const { id } = await uploaded.json();
    const made = await fetch("/ui/api/v1/batches", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ input_file_id: id, endpoint, completion_window: "24h" }),
    });
    if (!made.ok) { create.disabled = false; return say(await reason(made)); }
    location.href = `/ui/batches/${(await made.json()).id}`;
  });
}
