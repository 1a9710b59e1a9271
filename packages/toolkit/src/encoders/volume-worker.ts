import { serveRequests } from "@concord/data/worker";
import { modelVoxels } from "./volume-voxels.ts";

serveRequests(modelVoxels);
