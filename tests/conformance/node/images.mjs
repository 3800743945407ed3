// Cases of `images`: pictures in one answer.

import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { join } from "node:path";

import { decoded, fetched, isRecent, kindOf, mediaFile, pictureOf, refusal, sizeOf } from "./checks.mjs";

const prompt = "a red circle";

export async function generateWithoutAFormatGivesAPicture(run) {
  const answer = await run.client.images.generate({ prompt });

  assert.ok(isRecent(answer.created));
  assert.deepEqual(await kinds(answer), ["png"]);
}

export async function generateGivesAUrlThatLeadsToThePicture(run) {
  const answer = await run.client.images.generate({ prompt, response_format: "url" });

  assert.equal(answer.data[0].b64_json ?? null, null);
  assert.equal(kindOf(await fetched(answer.data[0].url)), "png");
}

export async function generateGivesBase64(run) {
  const answer = await run.client.images.generate({ prompt, response_format: "b64_json" });

  assert.equal(answer.data[0].url ?? null, null);
  assert.equal(kindOf(decoded(answer.data[0].b64_json)), "png");
}

export async function generateMakesAsManyAsN(run) {
  const answer = await run.client.images.generate({ prompt, n: 3 });

  assert.deepEqual(await kinds(answer), ["png", "png", "png"]);
}

export async function generateMakesTheSizeThatIsAskedFor(run) {
  const answer = await run.client.images.generate({ prompt, size: "256x512" });

  assert.deepEqual(sizeOf(await pictureOf(answer.data[0])), [256, 512]);
}

export async function generateTakesTheSizeAuto(run) {
  const answer = await run.client.images.generate({ prompt, size: "auto" });

  assert.deepEqual(await kinds(answer), ["png"]);
}

export async function generateTakesEveryQuality(run) {
  for (const quality of ["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"]) {
    const answer = await run.client.images.generate({ prompt, quality });

    assert.deepEqual(await kinds(answer), ["png"]);
  }
}

export async function generateMakesTheOutputFormatThatIsAskedFor(run) {
  for (const output_format of ["png", "jpeg", "webp"]) {
    const answer = await run.client.images.generate({ prompt, output_format });

    assert.deepEqual(await kinds(answer), [output_format]);
  }
}

export async function generateTakesWhatThePipelineHasNoUseFor(run) {
  const answer = await run.client.images.generate({
    prompt,
    model: "gpt-image-2",
    style: "natural",
    moderation: "low",
    background: "opaque",
    user: "somebody",
    safety_identifier: "somebody",
    unheard_of: [1, null],
  });

  assert.deepEqual(await kinds(answer), ["png"]);
}

export async function theSeedDecidesAndZeroIsOne(run) {
  const picture = async (seed) => {
    const answer = await run.client.images.generate({ prompt, seed });
    return await pictureOf(answer.data[0]);
  };

  assert.deepEqual(await picture(0), await picture(0));
  assert.notDeepEqual(await picture(0), await picture(42));
}

export async function editStartsFromAFile(run) {
  const image = createReadStream(join(run.media, "still.png"));

  const answer = await run.client.images.edit({ image, prompt });

  assert.deepEqual(await kinds(answer), ["png"]);
}

export async function editTakesAListOfFiles(run) {
  const image = [
    await mediaFile(run, "still.png", "image/png"),
    await mediaFile(run, "other.png", "image/png"),
  ];

  const answer = await run.client.images.edit({ image, prompt });

  assert.deepEqual(await kinds(answer), ["png"]);
}

export async function editTakesAMaskAndAllOptions(run) {
  const answer = await run.client.images.edit({
    image: await mediaFile(run, "still.png", "image/png"),
    mask: await mediaFile(run, "mask.png", "image/png"),
    prompt,
    n: 2,
    size: "256x256",
    quality: "high",
    background: "auto",
    input_fidelity: "high",
    response_format: "b64_json",
    user: "somebody",
    seed: 7,
  });

  assert.deepEqual(await kinds(answer), ["png", "png"]);
}

export async function editRefusesAFileThatIsNoPicture(run) {
  const image = await run.OpenAI.toFile(Buffer.from("no picture"), "a.png", { type: "image/png" });

  const error = await refusal(() => run.client.images.edit({ image, prompt }));

  assert.ok([400, 422].includes(error.status));
  assert.equal(error.param, "image");
}

export async function createVariationStartsFromAFile(run) {
  const image = await mediaFile(run, "still.png", "image/png");

  const answer = await run.client.images.createVariation({ image, n: 2, size: "256x256" });

  assert.deepEqual(await kinds(answer), ["png", "png"]);
}

async function kinds(answer) {
  return await Promise.all(answer.data.map(async (image) => kindOf(await pictureOf(image))));
}
