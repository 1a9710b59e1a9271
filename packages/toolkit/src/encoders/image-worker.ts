import { serveRequests } from "@concord/data/worker";
import { modelPixels } from "./image-pixels.ts";

serveRequests(modelPixels);
