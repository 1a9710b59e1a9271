import { serveRequests } from "../threads/serve.ts";
import { decodeImage } from "./decode.ts";

serveRequests(decodeImage);
