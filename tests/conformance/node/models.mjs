// Cases of `models`.

import assert from "node:assert/strict";

import { all, refusal } from "./checks.mjs";

export async function listNamesWhatIsServed(run) {
  const models = await all(run.client.models.list());

  assert.ok(models.length);
  for (const model of models) {
    assert.equal(model.object, "model");
    assert.ok(Number.isInteger(model.created));
    assert.ok(model.owned_by);
  }
}

export async function retrieveGivesOneOfTheList(run) {
  const [model] = await all(run.client.models.list());

  assert.deepEqual(await run.client.models.retrieve(model.id), model);
}

export async function anUnknownModelIsNotFound(run) {
  const error = await refusal(() => run.client.models.retrieve("gpt-unheard-of"));

  assert.ok(error instanceof run.OpenAI.NotFoundError);
}

export async function aModelCannotBeDeleted(run) {
  const [model] = await all(run.client.models.list());

  const error = await refusal(() => run.client.models.delete(model.id));

  assert.equal(error.status, 405);
  assert.equal(run.exchanges.length, 2);
}
