// The server provider evaluates each flag when it is asked for, with the context of the call.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const [folder, base, keyed, refusing] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { OpenFeature, ErrorCode } = require('@openfeature/server-sdk');
const { OFREPProvider } = require('@openfeature/ofrep-provider');

const speaking = async (baseUrl) => {
  await OpenFeature.setProviderAndWait(baseUrl, new OFREPProvider({ baseUrl }));
  return OpenFeature.getClient(baseUrl);
};
const client = await speaking(base);
const context = { targetingKey: 'u1', item: 'sku-9', device: 'mobile', deep: { passed: ['over'] } };

const object = await client.getObjectDetails('object', {}, context);
assert.deepEqual(object.value, { layout: 'wide' });
assert.ok(['a', 'b'].includes(object.variant) && object.reason === 'SPLIT');
assert.match(object.flagMetadata.decision_id, /^[0-9a-f]{32}$/);
assert.equal(await client.getStringValue('text', '', context), 'red');
assert.equal(await client.getNumberValue('integer', 0, context), 7);
assert.equal(await client.getNumberValue('number', 0, context), 0.5);
assert.equal(await client.getBooleanValue('truth', false, context), true);
const bare = await client.getStringDetails('bare', '', context);
assert.equal(bare.value, bare.variant);
const off = await client.getStringDetails('off', 'mine', context);
assert.deepEqual([off.value, off.reason], ['control', 'DISABLED']);
const won = await client.getStringDetails('won', 'mine', context);
assert.deepEqual([won.value, won.reason], ['winner', 'STATIC']);
assert.equal(await client.getStringValue('default', 'mine', context), 'mine', 'no value: the default of the code');

const again = await client.getObjectDetails('object', {}, context);
assert.equal(again.flagMetadata.decision_id, object.flagMetadata.decision_id);
const other = await client.getObjectDetails('object', {}, { ...context, item: 'sku-8' });
assert.notEqual(other.flagMetadata.decision_id, object.flagMetadata.decision_id, 'the item is part of the context');

const fails = async (client, key, context, code) => {
  const details = await client.getStringDetails(key, 'mine', context);
  assert.deepEqual([details.value, details.errorCode], ['mine', code], JSON.stringify(details));
  return details;
};
await fails(client, 'none', context, ErrorCode.FLAG_NOT_FOUND);
await fails(client, 'text', {}, ErrorCode.TARGETING_KEY_MISSING);
await fails(client, 'text', { ...context, device: ['mobile'] }, ErrorCode.INVALID_CONTEXT);
await fails(client, 'truth', context, ErrorCode.TYPE_MISMATCH);
await fails(await speaking(keyed), 'text', context, ErrorCode.GENERAL);
await fails(await speaking(`${refusing}/broken`), 'text', context, ErrorCode.GENERAL);
const busy = await speaking(`${refusing}/busy`);
await fails(busy, 'text', context, ErrorCode.GENERAL);
const fetch = globalThis.fetch;
globalThis.fetch = () => assert.fail('it was told to wait');
await fails(busy, 'text', context, ErrorCode.GENERAL);
globalThis.fetch = fetch;
await OpenFeature.close();
