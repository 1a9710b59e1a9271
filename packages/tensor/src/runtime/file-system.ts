// What `#file-system` is in Node; in browsers it is file-system-web.ts.
export { open, realpath } from "node:fs/promises";
export { dirname, resolve, sep } from "node:path";
