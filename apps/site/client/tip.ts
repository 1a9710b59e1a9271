/** The one tooltip of the page. It repeats what tables and labels say, so assistive technology may skip it. */
export class Tip {
  readonly #box: HTMLElement;

  constructor() {
    this.#box = document.createElement("div");
    this.#box.className = "tip";
    this.#box.setAttribute("aria-hidden", "true");
    this.#box.hidden = true;
    document.body.append(this.#box);
  }

  /** Shows the content beside the pointer, inside the window. */
  show(event: PointerEvent, ...content: readonly Node[]): void {
    this.#box.replaceChildren(...content);
    this.#box.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = this.#box;
    const right = event.clientX + 16 + width < document.documentElement.clientWidth;
    const left = right ? event.clientX + 16 : event.clientX - 16 - width;
    const top = Math.min(event.clientY + 12, document.documentElement.clientHeight - height - 8);
    this.#box.style.left = `${Math.max(4, left) + scrollX}px`;
    this.#box.style.top = `${Math.max(4, top) + scrollY}px`;
  }

  hide(): void {
    this.#box.hidden = true;
  }
}
