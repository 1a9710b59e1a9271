// The page: starts the worker that trains and draws what it reports.
import { availableDevices, type Device, type DeviceStatus } from "@concord/tensor";
import type { News, Start } from "./training.ts";

const SVG = "http://www.w3.org/2000/svg";
const CHANCE = Math.log(48);
const PLOT = { left: 30, right: 312, top: 10, bottom: 214 };

function find<E extends Element>(selector: string): E {
  const element = document.querySelector<E>(selector);
  if (!element) throw new Error(`The page has no '${selector}'.`);
  return element;
}

const form = find<HTMLFormElement>("form");
const select = find<HTMLSelectElement>("select");
const start = find<HTMLButtonElement>("button[type=submit]");
const stop = find<HTMLButtonElement>("#stop");
const status = find<HTMLElement>("#status");
const circle = find<SVGElement>("#circle");
const curve = find<SVGElement>("#curve");

function draw(
  parent: SVGElement,
  name: string,
  attributes: Readonly<Record<string, string | number>>,
): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  parent.append(element);
  return element;
}

function drawCircle(points: Float32Array, hues: readonly number[]): void {
  circle.replaceChildren();
  draw(circle, "circle", { class: "ring", r: 1 });
  const place = (row: number) => [points[2 * row] as number, points[2 * row + 1] as number] as const;
  for (const [i, hue] of hues.entries()) {
    const [[x1, y1], [x2, y2]] = [place(i), place(hues.length + i)];
    draw(circle, "line", { class: "pair", x1, y1, x2, y2, stroke: `hsl(${hue} 60% 50%)` });
  }
  for (const [i, hue] of hues.entries()) {
    const [[cx, cy], [x, y]] = [place(i), place(hues.length + i)];
    const fill = `hsl(${hue} 65% 50%)`;
    draw(circle, "circle", { class: "point", cx, cy, r: 0.06, fill });
    draw(circle, "path", { class: "point", d: `M${x} ${y - 0.045}l.045 .045l-.045 .045l-.045 -.045z`, fill });
  }
}

function drawCurve(losses: readonly (readonly [step: number, loss: number])[], steps: number): void {
  const top = Math.ceil(Math.max(CHANCE, ...losses.map(([, loss]) => loss)));
  const x = (step: number) => PLOT.left + ((PLOT.right - PLOT.left) * step) / steps;
  const y = (loss: number) => PLOT.bottom - ((PLOT.bottom - PLOT.top) * loss) / top;
  curve.replaceChildren();
  for (let tick = 0; tick <= top; tick += Math.ceil(top / 5)) {
    draw(curve, "line", { class: "grid", x1: PLOT.left, x2: PLOT.right, y1: y(tick), y2: y(tick) });
    draw(curve, "text", { x: PLOT.left - 6, y: y(tick) + 4, "text-anchor": "end" }).textContent =
      String(tick);
  }
  for (const step of [0, steps / 2, steps]) {
    draw(curve, "text", {
      x: x(step),
      y: PLOT.bottom + 18,
      "text-anchor": step === steps ? "end" : "middle",
    }).textContent = String(step);
  }
  draw(curve, "line", { class: "chance", x1: PLOT.left, x2: PLOT.right, y1: y(CHANCE), y2: y(CHANCE) });
  const path = losses.map(
    ([step, loss], i) => `${i === 0 ? "M" : "L"}${x(step).toFixed(1)} ${y(loss).toFixed(1)}`,
  );
  draw(curve, "path", { class: "loss", d: path.join("") });
}

let worker: Worker | undefined;

function setBusy(busy: boolean): void {
  start.disabled = busy;
  select.disabled = busy;
  stop.hidden = !busy;
}

function say(text: string, failed = false): void {
  status.textContent = text;
  status.classList.toggle("failed", failed);
}

function end(text: string, failed = false): void {
  worker?.terminate();
  worker = undefined;
  setBusy(false);
  say(text, failed);
}

function train(device: Device): void {
  setBusy(true);
  say("Loading ONNX Runtime …");
  const losses: [number, number][] = [];
  let hues: readonly number[] = [];
  let runtime = "";
  worker = new Worker(new URL("./training.js", import.meta.url), { type: "module" });
  worker.onerror = ({ message }) => end(message, true);
  worker.onmessage = ({ data }: MessageEvent<News>) => {
    if (data.kind === "started") {
      ({ hues, runtime } = data);
      say(`Training on ${runtime} …`);
    } else if (data.kind === "step") {
      losses.push([data.step, data.loss]);
      drawCircle(data.points, hues);
      drawCurve(losses, data.steps);
      say(`Training on ${runtime}: step ${data.step} of ${data.steps}, loss ${data.loss.toFixed(3)}`);
    } else if (data.kind === "done") {
      const [first, last] = [losses[0]?.[1] ?? 0, losses.at(-1)?.[1] ?? 0];
      end(
        `Done on ${runtime} in ${data.seconds.toFixed(1)} s: the loss fell from ${first.toFixed(2)} to ${last.toFixed(2)}.`,
      );
    } else end(data.message, true);
  };
  worker.postMessage({ device } satisfies Start);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  train(select.value as Device);
});
stop.addEventListener("click", () => end("Stopped."));

drawCircle(new Float32Array(), []);
drawCurve([], 400);

// Devices that cannot start stay in the list, with the reason.
for (const device of await availableDevices()) explain(device);

function explain(device: DeviceStatus): void {
  const option = [...select.options].find(({ value }) => value === device.device);
  if (!option || device.available) return;
  option.disabled = true;
  option.textContent += ` (${device.reason})`;
}
