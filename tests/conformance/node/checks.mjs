// What cases ask of answers.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, constants, createReadStream, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

const PATIENCE_MS = 20_000;
const CLOCK_SLACK_SECONDS = 30;
const HIDDEN = ["Traceback", ".py", "/tmp/", "/root/"];

// Returns the error of a call that must be refused, and checks that it tells what it should.
export async function refusal(call) {
  const error = await raised(call);
  if (error.status === undefined) throw error;
  assert.ok(error.error?.message, JSON.stringify(error.error));
  for (const name of ["message", "type", "param", "code"]) assert.ok(name in error.error, name);
  assert.equal(typeof error.type, "string");
  assert.equal(typeof error.code, "string");
  for (const each of HIDDEN) assert.ok(!JSON.stringify(error.error).includes(each), error.message);
  assert.ok(error.requestID);
  assert.match(error.headers.get("content-type"), /^application\/json/);
  return error;
}

// Returns what a call throws.
export async function raised(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("was not refused");
}

// Names the format of a picture or a video.
export function kindOf(bytes) {
  const start = Buffer.from(bytes).toString("latin1", 0, 12);
  if (start.slice(4, 8) === "ftyp") return "mp4";
  if (start.startsWith("\x89PNG")) return "png";
  if (start.startsWith("\xff\xd8\xff")) return "jpeg";
  if (start.startsWith("RIFF")) return "webp";
  throw new Error(`an unknown format: ${start}`);
}

// Returns the size of a PNG.
export function sizeOf(png) {
  return [png.readUInt32BE(16), png.readUInt32BE(20)];
}

// Returns an image of an answer, wherever it is.
export async function pictureOf(image) {
  return image.b64_json ? decoded(image.b64_json) : await fetched(image.url);
}

export function decoded(base64) {
  return Buffer.from(base64, "base64");
}

// Returns what a URL of an answer leads to; it asks for the key, as all does.
export async function fetched(url) {
  const headers = { Authorization: `Bearer ${process.env.OPENAI_API_KEY}` };
  const response = await fetch(url, { headers });
  assert.equal(response.status, 200);
  return await bytesOf(response);
}

export async function bytesOf(response) {
  return Buffer.from(await response.arrayBuffer());
}

// Returns a file of the given media, with its name and type.
export async function mediaFile(run, name, type) {
  return await run.OpenAI.toFile(readFileSync(join(run.media, name)), name, { type });
}

// Tells whether it is a number of seconds that was now, just now.
export function isRecent(seconds) {
  return Number.isInteger(seconds) && Math.abs(Date.now() / 1000 - seconds) < CLOCK_SLACK_SECONDS;
}

// Goes through a page or a stream to its end.
export async function all(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

// Follows a video to its end; the SDK for Node has no `poll`.
export async function followed(run, id) {
  for (;;) {
    const { data, response } = await run.client.videos.retrieve(id).withResponse();
    if (data.status !== "queued" && data.status !== "in_progress") return data;
    const wait = Number(response.headers.get("openai-poll-after-ms"));
    await new Promise((resolve) => setTimeout(resolve, Math.min(wait, 100)));
  }
}

// A FIFO on which the pipeline says that a run has started, and how it has ended.
export class Ear {
  constructor(path) {
    this.path = path;
    execFileSync("mkfifo", [path]);
    this.lines = createInterface({ input: createReadStream(path) })[Symbol.asyncIterator]();
  }

  async heard() {
    const late = new Promise((_, reject) => {
      setTimeout(() => reject(new Error("the pipeline says nothing")), PATIENCE_MS).unref();
    });
    return (await Promise.race([this.lines.next(), late])).value;
  }
}

// A FIFO at which the pipeline waits until it is opened.
export class Gate {
  constructor(path) {
    this.path = path;
    execFileSync("mkfifo", [path]);
  }

  open() {
    const waiting = openSync(this.path, constants.O_RDWR | constants.O_NONBLOCK);
    writeFileSync(`${this.path}.open`, "");
    renameSync(`${this.path}.open`, this.path);
    closeSync(waiting);
  }
}
