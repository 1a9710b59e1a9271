import { answer, type Request } from "./page.ts";

const scope = globalThis as unknown as {
  onmessage: ((event: { readonly data: Request }) => void) | null;
  postMessage(message: unknown): void;
};
scope.onmessage = async ({ data }) => scope.postMessage(await answer(data));
