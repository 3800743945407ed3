// Cases of `videos`.

import assert from "node:assert/strict";
import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";

import { all, bytesOf, Ear, followed, Gate, isRecent, kindOf, mediaFile, refusal } from "./checks.mjs";

const prompt = "a red circle moving right";
const NULLABLE = ["completed_at", "error", "expires_at", "prompt", "remixed_from_video_id"];

export async function createAnswersWithTheVideo(run) {
  const video = await run.client.videos.create({ prompt, seconds: "4", size: "720x1280" });

  assert.equal(video.object, "video");
  assert.ok(["queued", "in_progress", "completed"].includes(video.status));
  assert.ok(isRecent(video.created_at));
  assert.ok(Number.isInteger(video.progress));
  assert.deepEqual([video.seconds, video.size], ["4", "720x1280"]);
  assert.equal(video.prompt, prompt);
  assert.ok(video.model);
}

export async function fieldsThatMayBeNullAreThere(run) {
  const video = await run.client.videos.create({ prompt });

  for (const name of NULLABLE) assert.ok(name in video, name);
}

export async function createStartsFromAFileInEveryForm(run) {
  const path = join(run.media, "still.png");
  const references = [
    createReadStream(path),
    await mediaFile(run, "still.png", "image/png"),
    new File([readFileSync(path)], "a.png"),
  ];

  for (const input_reference of references) {
    const video = await made(run, { input_reference });
    assert.equal(video.status, "completed", JSON.stringify(video.error));
  }
}

export async function createStartsFromAUrl(run) {
  const picture = readFileSync(join(run.media, "still.png")).toString("base64");

  const video = await made(run, {
    input_reference: { image_url: `data:image/png;base64,${picture}` },
  });

  assert.equal(video.status, "completed", JSON.stringify(video.error));
}

export async function createTakesFieldsOfItsOwn(run) {
  const video = await made(run, { seed: 7, flag: true, nested: { a: 1, l: [1, 2] } });

  assert.equal(video.status, "completed", JSON.stringify(video.error));
}

export async function aVideoIsFollowedToItsEnd(run) {
  const video = await made(run);

  assert.deepEqual([video.status, video.progress], ["completed", 100]);
  assert.ok(isRecent(video.completed_at));
}

export async function aVideoThatIsNotMadeYetSaysWhenToAskAgain(run) {
  const gate = new Gate(run.path("gate"));
  const { id } = await run.client.videos.create({ prompt: `wait ${gate.path}` });

  const { data, response } = await run.client.videos.retrieve(id).withResponse();
  gate.open();

  assert.ok(["queued", "in_progress"].includes(data.status));
  assert.ok(Number(response.headers.get("openai-poll-after-ms")) > 0);
}

export async function aVideoThatFailedSaysWhy(run) {
  const { id } = await run.client.videos.create({ prompt: "fail now" });

  const video = await followed(run, id);

  assert.equal(video.status, "failed");
  assert.ok(video.error.code && video.error.message);
}

export async function anUnknownVideoIsNotFound(run) {
  const { videos } = run.client;
  const calls = [
    () => videos.retrieve("video_unheard_of"),
    () => videos.delete("video_unheard_of"),
    () => videos.downloadContent("video_unheard_of"),
    () => videos.remix("video_unheard_of", { prompt }),
  ];

  for (const call of calls) {
    assert.ok((await refusal(call)) instanceof run.OpenAI.NotFoundError);
  }
}

export async function listPagesThroughAllVideosInBothOrders(run) {
  const earlier = await all(run.client.videos.list());
  for (const video of earlier) await run.client.videos.delete(video.id);
  const ids = [];
  for (let count = 0; count < 5; count += 1) ids.push((await made(run)).id);

  for (const [order, expected] of [["asc", ids], ["desc", ids.toReversed()]]) {
    run.exchanges.length = 0;
    const videos = await all(run.client.videos.list({ limit: 2, order }));
    assert.deepEqual(videos.map((video) => video.id), expected);
    assert.equal(run.exchanges.length, 3);
  }
}

export async function deleteTakesTheVideoAway(run) {
  const { id } = await made(run);

  const deleted = await run.client.videos.delete(id);

  assert.deepEqual([deleted.id, deleted.object, deleted.deleted], [id, "video.deleted", true]);
  const error = await refusal(() => run.client.videos.retrieve(id));
  assert.ok(error instanceof run.OpenAI.NotFoundError);
}

export async function deleteStopsAVideoThatIsBeingMade(run) {
  const ear = new Ear(run.path("ear"));
  const { id } = await run.client.videos.create({ prompt: `last ${ear.path}` });
  assert.equal(await ear.heard(), "started");

  await run.client.videos.delete(id);

  assert.equal(await ear.heard(), "cancelled");
}

export async function downloadContentGivesEveryVariant(run) {
  const { id } = await made(run);
  const content = run.client.videos.downloadContent.bind(run.client.videos);

  assert.equal(kindOf(await bytesOf(await content(id))), "mp4");
  assert.equal(kindOf(await bytesOf(await content(id, { variant: "video" }))), "mp4");
  assert.equal(kindOf(await bytesOf(await content(id, { variant: "thumbnail" }))), "webp");
  assert.equal(kindOf(await bytesOf(await content(id, { variant: "spritesheet" }))), "jpeg");
}

export async function contentOfAVideoThatIsNotMadeYetIsRefusedOnce(run) {
  const gate = new Gate(run.path("gate"));
  const { id } = await run.client.videos.create({ prompt: `wait ${gate.path}` });
  run.exchanges.length = 0;

  const error = await refusal(() => run.client.videos.downloadContent(id));
  gate.open();

  assert.equal(error.code, "video_not_ready");
  assert.equal(run.exchanges.length, 1);
}

export async function remixMakesANewVideoFromACompletedOne(run) {
  const source = await made(run);

  const remix = await run.client.videos.remix(source.id, { prompt: "the same in blue" });

  assert.equal(remix.remixed_from_video_id, source.id);
  assert.equal((await followed(run, remix.id)).status, "completed");
}

export async function editMakesANewVideoFromAFile(run) {
  const video = await mediaFile(run, "clip.mp4", "video/mp4");

  const { id } = await run.client.videos.edit({ prompt, video });

  assert.equal((await followed(run, id)).status, "completed");
}

export async function editMakesANewVideoFromAnEarlierOne(run) {
  const source = await made(run);

  const { id } = await run.client.videos.edit({ prompt, video: { id: source.id } });

  assert.equal((await followed(run, id)).status, "completed");
}

export async function extendContinuesAnEarlierVideo(run) {
  const source = await made(run);

  const { id } = await run.client.videos.extend({
    prompt,
    seconds: "4",
    video: { id: source.id },
  });

  assert.equal((await followed(run, id)).status, "completed");
}

export async function charactersAreRefusedAsUnsupported(run) {
  const video = await mediaFile(run, "clip.mp4", "video/mp4");

  const error = await refusal(() => run.client.videos.createCharacter({ name: "Ada", video }));

  assert.ok(error instanceof run.OpenAI.BadRequestError);
  assert.equal(error.code, "unsupported");
}

export async function aCharacterIsNotFound(run) {
  const error = await refusal(() => run.client.videos.getCharacter("char_ada"));

  assert.ok(error instanceof run.OpenAI.NotFoundError);
}

async function made(run, options = {}) {
  const { id } = await run.client.videos.create({ prompt, ...options });
  return await followed(run, id);
}
