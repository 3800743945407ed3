// Cases of errors and retries: what is wrong, lost on the way, comes twice or to a full queue.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { all, Ear, followed, Gate, raised, refusal } from "./checks.mjs";

const prompt = "a red circle";

export async function aWrongValueIsRefusedByTheNameOfItsField(run) {
  for (const options of [{ size: "banana" }, { n: 11 }, { quality: "best" }]) {
    const error = await refusal(() => run.client.images.generate({ prompt, ...options }));

    assert.ok([400, 422].includes(error.status));
    assert.deepEqual([error.param], Object.keys(options));
  }
  assert.equal(run.exchanges.length, 3);
}

export async function aWrongValueOfAVideoIsRefusedByTheNameOfItsField(run) {
  for (const options of [{ size: "banana" }, { seconds: "90" }]) {
    const error = await refusal(() => run.client.videos.create({ prompt, ...options }));

    assert.ok([400, 422].includes(error.status));
    assert.deepEqual([error.param], Object.keys(options));
  }
}

export async function anUnknownPathIsNotFound(run) {
  const error = await refusal(() => run.client.post("/videos/v/nothing", { body: {} }));

  assert.ok(error instanceof run.OpenAI.NotFoundError);
}

export async function aTaskThatFailsIsToldOnce(run) {
  const error = await refusal(() => run.client.images.generate({ prompt: "fail now" }));

  assert.ok(error instanceof run.OpenAI.InternalServerError);
  assert.equal(run.exchanges.length, 1);
}

export async function everyAnswerHasTheIdOfItsRequest(run) {
  const answer = await run.client.images.generate({ prompt });
  const error = await refusal(() => run.client.models.retrieve("gpt-unheard-of"));

  assert.equal(answer._request_id, run.exchanges[0].headers["x-request-id"]);
  assert.equal(error.requestID, run.exchanges[1].headers["x-request-id"]);
}

export async function anImageThatNobodyWaitsForIsCancelled(run) {
  const ear = new Ear(run.path("ear"));
  const abort = new AbortController();
  const { signal } = abort;
  const headers = { "x-stainless-retry-count": null };
  const call = run.client.images.generate({ prompt: `last ${ear.path}` }, { signal, headers });
  const error = raised(() => call);
  assert.equal(await ear.heard(), "started");

  abort.abort();

  assert.ok((await error) instanceof run.OpenAI.APIUserAbortError);
  assert.equal(await ear.heard(), "cancelled");
}

export async function aVideoWhoseAnswerWasLostIsMadeOnce(run) {
  const words = `a circle ${randomUUID()}`;

  const video = await run.dropping().videos.create({ prompt: words });

  assert.equal(run.exchanges.at(-1).sent["x-stainless-retry-count"], "1");
  assert.deepEqual(await videosOf(run, words), [video.id]);
}

export async function anIdempotencyKeyMakesAVideoOnce(run) {
  const words = `a circle ${randomUUID()}`;
  const headers = { "Idempotency-Key": randomUUID() };

  const first = await run.client.videos.create({ prompt: words }, { headers });
  const second = await run.client.videos.create({ prompt: words }, { headers });

  assert.equal(first.id, second.id);
  assert.deepEqual(await videosOf(run, words), [first.id]);
}

export async function anIdempotencyKeyOfAnotherRequestIsAConflictToldOnce(run) {
  const headers = { "Idempotency-Key": randomUUID() };
  await run.client.videos.create({ prompt }, { headers });

  const error = await refusal(() => run.client.videos.create({ prompt: "a square" }, { headers }));

  assert.ok(error instanceof run.OpenAI.ConflictError);
  assert.equal(run.exchanges.length, 2);
}

export async function aFullQueueIsTriedAgain(run) {
  const gate = new Gate(run.path("gate"));
  const error = await refusal(() => filled(run, gate));
  run.exchanges.length = 0;
  run.onRefusal = () => gate.open();

  const video = await run.client.videos.create({ prompt });

  assert.equal(error.code, "queue_full");
  assert.ok(Number(error.headers.get("retry-after")) > 0);
  assert.ok(run.exchanges.length > 1);
  assert.equal((await followed(run, video.id)).status, "completed");
}

async function filled(run, gate) {
  for (let count = 0; count < 20; count += 1) {
    await run.once().videos.create({ prompt: `wait ${gate.path}` });
  }
}

async function videosOf(run, words) {
  const videos = await all(run.client.videos.list({ limit: 100 }));
  return videos.filter((video) => video.prompt === words).map((video) => video.id);
}
