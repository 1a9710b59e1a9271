// The page: hands queries to the worker that searches, and shows what it finds.
import type { Library, News } from "./search.ts";

function find<E extends Element>(selector: string): E {
  const element = document.querySelector<E>(selector);
  if (!element) throw new Error(`The page has no '${selector}'.`);
  return element;
}

const form = find<HTMLFormElement>("form");
const input = find<HTMLInputElement>("#query");
const button = find<HTMLButtonElement>("button[type=submit]");
const status = find<HTMLElement>("#status");
const list = find<HTMLOListElement>("#hits");
let pictures: Library["pictures"] = [];

function say(text: string, failed = false): void {
  status.textContent = text;
  status.classList.toggle("failed", failed);
}

function show(hits: Extract<News, { kind: "found" }>["hits"]): void {
  list.replaceChildren(
    ...hits.map(({ index, score }) => {
      const { file, caption } = pictures[index] as Library["pictures"][number];
      const item = document.createElement("li");
      const image = document.createElement("img");
      image.src = file;
      image.alt = caption;
      image.width = 96;
      image.height = 96;
      const figures = document.createElement("span");
      figures.textContent = score.toFixed(2);
      figures.title = "cosine similarity";
      item.append(image, figures);
      return item;
    }),
  );
}

const worker = new Worker(new URL("./search.js", import.meta.url), { type: "module" });
worker.onerror = ({ message }) => say(message, true);
worker.onmessage = ({ data }: MessageEvent<News>) => {
  if (data.kind === "ready") {
    pictures = data.pictures;
    button.disabled = false;
    say(`Ready: ${pictures.length} pictures, ${data.runtime}.`);
  } else if (data.kind === "found") {
    show(data.hits);
    const strange = data.unknown.length === 0 ? "" : ` Not in the vocabulary: ${data.unknown.join(", ")}.`;
    say(
      `“${data.query}”: the nearest ${data.hits.length} of ${pictures.length} in ${data.milliseconds.toFixed(0)} ms.${strange}`,
    );
  } else say(data.message, true);
};

function search(query: string): void {
  if (query.trim() === "") {
    say("Type what to look for, e.g. green star.");
    return;
  }
  say("Searching …");
  worker.postMessage(query);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  search(input.value);
});
for (const example of document.querySelectorAll<HTMLButtonElement>("button.example")) {
  example.addEventListener("click", () => {
    input.value = example.textContent ?? "";
    if (!button.disabled) search(input.value);
  });
}
