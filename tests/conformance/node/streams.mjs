// Cases of `images` with `stream`: previews of the denoising, then the picture.

import assert from "node:assert/strict";

import { all, decoded, Ear, isRecent, kindOf, mediaFile, raised, refusal } from "./checks.mjs";

const prompt = "a red circle";
const stream = true;

export async function aStreamEndsWithThePicture(run) {
  for (const partial_images of [0, 1, 2, 3]) {
    const events = await all(await run.client.images.generate({ prompt, stream, partial_images }));

    const completed = events.pop();
    assert.equal(completed.type, "image_generation.completed");
    assert.equal(kindOf(decoded(completed.b64_json)), "png");
    assert.ok(events.length <= partial_images);
    assert.deepEqual(
      events.map((event) => event.partial_image_index),
      events.map((_, index) => index),
    );
  }
}

export async function aStreamBeginsWithPreviews(run) {
  const events = await all(await run.client.images.generate({ prompt, stream, partial_images: 3 }));

  assert.ok(events.length > 1);
  for (const event of events.slice(0, -1)) {
    assert.equal(event.type, "image_generation.partial_image");
    assert.ok(["png", "jpeg", "webp"].includes(kindOf(decoded(event.b64_json))));
  }
}

export async function everyEventHasWhatItsTypePromises(run) {
  const events = await all(await run.client.images.generate({ prompt, stream, partial_images: 1 }));

  for (const event of events) {
    assert.ok(isRecent(event.created_at));
    assert.ok(["transparent", "opaque", "auto"].includes(event.background));
    assert.ok(["png", "webp", "jpeg"].includes(event.output_format));
    assert.ok(event.quality && event.size);
  }
  const { usage } = events.at(-1);
  assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
}

export async function anEditStreamsToo(run) {
  const image = await mediaFile(run, "still.png", "image/png");

  const events = await all(
    await run.client.images.edit({ image, prompt, stream, partial_images: 2 }),
  );

  assert.equal(events.pop().type, "image_edit.completed");
  for (const event of events) assert.equal(event.type, "image_edit.partial_image");
}

export async function aFailureInAStreamIsAnApiError(run) {
  const error = await raised(async () => {
    await all(await run.client.images.generate({ prompt: "fail now", stream, partial_images: 1 }));
  });

  assert.ok(error instanceof run.OpenAI.APIError, error);
  assert.ok(error.code);
}

export async function whatIsWrongWithARequestIsToldBeforeTheStream(run) {
  const error = await refusal(() => run.client.images.generate({ prompt, stream, size: "banana" }));

  assert.ok([400, 422].includes(error.status));
  assert.equal(error.param, "size");
}

export async function leavingAStreamCancelsTheTask(run) {
  const ear = new Ear(run.path("ear"));
  const events = await run.client.images.generate({
    prompt: `last ${ear.path}`,
    stream,
    partial_images: 1,
  });

  for await (const event of events) {
    assert.equal(event.type, "image_generation.partial_image");
    break;
  }

  assert.equal(await ear.heard(), "started");
  assert.equal(await ear.heard(), "cancelled");
}
