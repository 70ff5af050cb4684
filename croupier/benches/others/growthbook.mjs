// Node with GrowthBook's SDK, which hashes a user to a variation and keeps nothing. Run with a port; ends with its input.

import { createServer } from "node:http";
import { GrowthBook } from "@growthbook/growthbook";

const arms = ["a", "b", "c", "d", "e"];

const server = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk) => { body += chunk; });
  request.on("end", () => {
    const asked = JSON.parse(body);
    const growthbook = new GrowthBook({ attributes: { id: `${asked.user}:${asked.item}:2026-11-21`, ...asked.context } });
    const { value, inExperiment } = growthbook.run({ key: asked.experiment, variations: arms });
    growthbook.destroy();
    const answer = JSON.stringify({
      experiment: asked.experiment, arm: value, payload: { layout: value }, first: inExperiment, source: "policy",
    });
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(answer) });
    response.end(answer);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.argv[2]), "127.0.0.1");
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
