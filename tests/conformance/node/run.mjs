// Runs cases with the SDK of an environment, and prints a JSON line for each:
// `node run.mjs ENVIRONMENT images.generateGivesUrls …`; where the service is and what it is called
// with stand in the variables that the SDK reads by itself.

import { createRequire } from "node:module";
import { join } from "node:path";

const TIMEOUT_MS = 30_000;
const BUSY = [429, 503];
const SHOWN = ["content-type", "idempotency-key", "x-stainless-retry-count"];

const [environment, ...names] = process.argv.slice(2);
const OpenAI = createRequire(join(environment, "/"))("openai");

// What a case is handed: the SDK, a client of it, what went over the wire, and where files are.
class Run {
  OpenAI = OpenAI;
  exchanges = [];
  media = process.env.CONFORMANCE_MEDIA;
  folder = process.env.CONFORMANCE_FOLDER;
  onRefusal = () => {};
  client = new OpenAI({ timeout: TIMEOUT_MS, fetch: (url, options) => this.#fetch(url, options) });

  // Returns a client that does not try again.
  once() {
    return this.client.withOptions({ maxRetries: 0 });
  }

  // Returns a client that loses the answer to its first try.
  dropping() {
    return this.client.withOptions({ baseURL: process.env.CONFORMANCE_DROPPING_URL });
  }

  // Returns a path that no other case uses.
  path(name) {
    return join(this.folder, `${name}-${process.hrtime.bigint()}`);
  }

  async #fetch(url, options) {
    const response = await fetch(url, options);
    const { pathname, search } = new URL(url);
    const headers = new Headers(options.headers);
    this.exchanges.push({
      request: `${options.method} ${pathname}${search}`,
      sent: Object.fromEntries(SHOWN.map((name) => [name, headers.get(name)])),
      status: response.status,
      headers: Object.fromEntries(response.headers),
    });
    if (BUSY.includes(response.status)) this.onRefusal();
    return response;
  }
}

async function outcome(name) {
  const [module, kase] = name.split(".");
  const run = new Run();
  try {
    const cases = await import(`./${module}.mjs`);
    await cases[kase](run);
    return { case: name, failure: "" };
  } catch (error) {
    const failure = error.stack ?? String(error);
    return { case: name, failure, wire: run.exchanges.map((each) => JSON.stringify(each)) };
  }
}

for (const name of names) {
  console.log(JSON.stringify(await outcome(name)));
}
process.exit(0); // connections that are kept alive would hold the process
