// Cases of API keys.

import assert from "node:assert/strict";

import { all, followed, refusal } from "./checks.mjs";

const prompt = "a circle";

export async function aWrongKeyIsAnAuthenticationErrorToldOnce(run) {
  const stranger = run.client.withOptions({ apiKey: "nobody" });

  const error = await refusal(() => stranger.images.generate({ prompt }));

  assert.ok(error instanceof run.OpenAI.AuthenticationError);
  assert.equal(error.code, "invalid_api_key");
  assert.equal(run.exchanges.length, 1);
}

export async function videosOfAnotherCallerAreNotFound(run) {
  const { id } = await run.client.videos.create({ prompt });
  await followed(run, id);
  const other = run.client.withOptions({ apiKey: process.env.CONFORMANCE_OTHER_KEY });

  const videos = await all(other.videos.list({ limit: 100 }));

  assert.ok(!videos.some((video) => video.id === id));
  const error = await refusal(() => other.videos.retrieve(id));
  assert.ok(error instanceof run.OpenAI.NotFoundError);
}
