import { serve } from "./engine-process.ts";
import { matmulTrainer } from "./matmul.ts";

await serve(() => ({ name: "matrix product", ...matmulTrainer() }));
