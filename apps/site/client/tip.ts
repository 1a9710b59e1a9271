/**
 * The one tooltip of the page. It repeats what tables and labels say, so assistive technology may skip it; what was asked
 * for by keys is spoken.
 */
export class Tip {
  readonly #box: HTMLElement;
  readonly #voice: HTMLElement;
  /** Who shows something now. */
  #owner: object | null = null;

  constructor() {
    this.#box = document.createElement("div");
    this.#box.className = "tip";
    this.#box.setAttribute("aria-hidden", "true");
    this.#box.hidden = true;
    this.#voice = document.createElement("div");
    this.#voice.className = "visually-hidden";
    this.#voice.setAttribute("role", "status");
    document.body.append(this.#box, this.#voice);
  }

  /** Shows the content beside a place in the window, such as that of a pointer, and inside of it. */
  show(owner: object, event: Pick<PointerEvent, "clientX" | "clientY">, ...content: readonly Node[]): void {
    this.#owner = owner;
    this.#box.replaceChildren(...content);
    this.#box.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = this.#box;
    const right = event.clientX + 16 + width < document.documentElement.clientWidth;
    const left = right ? event.clientX + 16 : event.clientX - 16 - width;
    const top = Math.min(event.clientY + 12, document.documentElement.clientHeight - height - 8);
    this.#box.style.left = `${Math.max(4, left) + scrollX}px`;
    this.#box.style.top = `${Math.max(4, top) + scrollY}px`;
  }

  /** Has the text spoken by assistive technology. */
  say(text: string): void {
    this.#voice.textContent = text;
  }

  /** Takes away what this owner shows; what another shows by now stays. */
  hide(owner: object): void {
    if (this.#owner === owner) this.#box.hidden = true;
  }
}
