// Cases that take ten seconds each; only a run of all SDKs has the time.

import assert from "node:assert/strict";

import { Ear, raised } from "./checks.mjs";

export async function anImageThatNoRetryComesForIsCancelled(run) {
  const ear = new Ear(run.path("ear"));
  const abort = new AbortController();
  const call = run.client.images.generate({ prompt: `last ${ear.path}` }, { signal: abort.signal });
  const error = raised(() => call);
  assert.equal(await ear.heard(), "started");

  abort.abort();

  assert.ok((await error) instanceof run.OpenAI.APIUserAbortError);
  assert.equal(await ear.heard(), "cancelled");
}
