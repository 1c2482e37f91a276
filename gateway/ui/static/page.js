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
    const { post, method = "POST", body } = button.dataset;
    const headers = body ? { "content-type": "application/json" } : {};
    button.disabled = true;
    const answer = await fetch(post, { method, body, headers });
    button.disabled = false;
    if (!answer.ok) return say(await reason(answer));
    const made = await answer.json();
    if (button.dataset.to) location.href = button.dataset.to;
    else if (button.dataset.go) location.href = button.dataset.go + made.id;
    else await refresh();
  }
});

const drop = document.getElementById("drop");
if (drop) {
  const chooser = document.getElementById("file");
  const looked = document.getElementById("looked");

  // Upload a file, and go on to what a batch of it would be.
  const tryFile = async (file) => {
    looked.textContent = `${file.name}: ${file.size.toLocaleString()} bytes are uploaded and tried …`;
    const body = new FormData();
    body.append("purpose", "batch");
    body.append("file", file);
    const uploaded = await fetch("/ui/api/v1/files", { method: "POST", body });
    if (!uploaded.ok) { looked.textContent = await reason(uploaded); return; }
    location.href = `/ui/files/${(await uploaded.json()).id}/try`;
  };

  chooser.addEventListener("change", () => chooser.files.length && tryFile(chooser.files[0]));
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) tryFile(event.dataTransfer.files[0]);
  });
}
