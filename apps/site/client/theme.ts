// Runs before the first paint, so that a remembered theme never flashes.
import { recall } from "./storage.ts";

const root = document.documentElement;
root.classList.add("js");
const theme = recall("theme");
if (theme === "light" || theme === "dark") root.dataset.theme = theme;
