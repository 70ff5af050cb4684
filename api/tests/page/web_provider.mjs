// The web provider evaluates all flags for one context, and again when that changes or when it polls.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const [folder, base, keyed, refusing] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { OpenFeature, ErrorCode, ProviderEvents } = require('@openfeature/web-sdk');
const { OFREPWebProvider } = require('@openfeature/ofrep-web-provider');

const answers = [];
let heard = () => {};
const fetch = globalThis.fetch;
globalThis.fetch = async (...request) => {
  const response = await fetch(...request);
  answers.push(response.status);
  heard();
  return response;
};
const answered = (status) =>
  new Promise((resolve) => {
    heard = () => answers.includes(status) && resolve();
    heard();
  });

await OpenFeature.setContext({ targetingKey: 'u1', device: 'mobile' });
await OpenFeature.setProviderAndWait(new OFREPWebProvider({ baseUrl: base, pollInterval: 20 }));
const client = OpenFeature.getClient();

const object = client.getObjectDetails('object', {});
assert.deepEqual(object.value, { layout: 'wide' });
assert.ok(['a', 'b'].includes(object.variant) && object.reason === 'SPLIT');
assert.match(object.flagMetadata.decision_id, /^[0-9a-f]{32}$/);
assert.equal(typeof object.flagMetadata.propensity, 'number');
assert.equal(client.getStringValue('text', ''), 'red');
assert.equal(client.getNumberValue('integer', 0), 7);
assert.equal(client.getNumberValue('number', 0), 0.5);
assert.equal(client.getBooleanValue('truth', false), true);
const bare = client.getStringDetails('bare', '');
assert.equal(bare.value, bare.variant);
assert.equal(client.getStringDetails('text', '').errorCode, undefined);
assert.equal(client.getBooleanDetails('text', false).errorCode, ErrorCode.TYPE_MISMATCH);
const none = client.getStringDetails('none', 'mine');
assert.deepEqual([none.value, none.errorCode], ['mine', ErrorCode.FLAG_NOT_FOUND]);
const off = client.getStringDetails('off', 'mine');
assert.deepEqual([off.value, off.reason, off.errorCode], ['control', 'DISABLED', undefined]);
const won = client.getStringDetails('won', 'mine');
assert.deepEqual([won.value, won.reason, won.variant], ['winner', 'STATIC', 'b']);
assert.equal(client.getStringValue('default', 'mine'), 'mine', 'no value: the default of the code');

await answered(304);
answers.length = 0;
await OpenFeature.setContext({ targetingKey: 'u2', device: 'mobile' });
assert.equal(answers[0], 200, 'another context is evaluated anew');
const other = client.getObjectDetails('object', {});
assert.notEqual(other.flagMetadata.decision_id, object.flagMetadata.decision_id);
await OpenFeature.setContext({ targetingKey: 'u1', device: 'mobile' });
const again = client.getObjectDetails('object', {});
assert.deepEqual([again.variant, again.flagMetadata.decision_id], [object.variant, object.flagMetadata.decision_id]);

// An attribute that no experiment can use spoils those that need it, and no others.
await OpenFeature.setContext({ targetingKey: 'u1', device: { name: 'mobile' } });
assert.equal(client.getStringDetails('text', 'mine').errorCode, ErrorCode.INVALID_CONTEXT);

const started = async (baseUrl, context) => {
  await OpenFeature.setContext(context);
  try {
    await OpenFeature.setProviderAndWait(new OFREPWebProvider({ baseUrl, pollInterval: 0 }));
    return undefined;
  } catch (e) {
    return e;
  } finally {
    const { value } = OpenFeature.getClient().getStringDetails('text', 'mine');
    assert.equal(value, 'mine', 'whatever goes wrong, the default of the code');
  }
};
answers.length = 0;
assert.match((await started(base, {})).message, /status: 400/, 'no visitor');
assert.ok(await started(keyed, { targetingKey: 'u' }));
await started(`${refusing}/busy`, { targetingKey: 'u' });
await started(`${refusing}/broken`, { targetingKey: 'u' });
for (const status of [400, 401, 429, 500]) assert.ok(answers.includes(status), `${status} of ${answers}`);
await OpenFeature.close();
