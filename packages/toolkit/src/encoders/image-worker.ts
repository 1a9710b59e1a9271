import { serveRequests } from "@concord/data";
import { modelPixels } from "./image-pixels.ts";

serveRequests(modelPixels);
