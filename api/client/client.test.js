// The client without a browser, in Node's own test runner: `node --test api/client`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import vm from 'node:vm';
import { createClient } from './client.js';

class Storage {
  constructor(broken) {
    this.kept = new Map();
    this.broken = broken;
  }
  getItem(name) {
    if (this.broken) throw new Error('blocked');
    return this.kept.get(name) ?? null;
  }
  setItem(name, value) {
    if (this.broken) throw new Error('blocked');
    this.kept.set(name, String(value));
  }
  removeItem(name) {
    if (this.broken) throw new Error('blocked');
    this.kept.delete(name);
  }
}

const decided = { experiment: 'page', arm: 'b', payload: { layout: 'b' }, decision_id: 'd1', source: 'policy' };
const answer = (status, body) => new Response(typeof body === 'string' ? body : JSON.stringify(body), { status });
let calls, listeners, beacons, respond, local;

beforeEach(() => {
  [calls, listeners, beacons] = [[], {}, []];
  local = new Storage();
  respond = (url) => (url.includes('/v1/events') ? answer(202, { accepted: 1, rejected: [] }) : answer(200, decided));
  globalThis.fetch = async (url, init) => {
    calls.push({ url, init });
    return respond(url, init);
  };
  globalThis.localStorage = local;
  globalThis.addEventListener = (name, work) => (listeners[name] = work);
  globalThis.document = {
    visibilityState: 'visible',
    adoptedStyleSheets: [],
    addEventListener: (name, work) => (listeners[name] = work),
    querySelectorAll: () => [],
  };
  Object.defineProperty(globalThis, 'navigator', {
    configurable: true,
    value: { sendBeacon: (url, body) => !!beacons.push({ url, body }) },
  });
});
afterEach(() => ['fetch', 'localStorage', 'addEventListener', 'document'].forEach((name) => delete globalThis[name]));

const bodies = () => calls.filter((c) => c.url.includes('/v1/events')).flatMap((c) => c.init.body.split('\n').map((l) => JSON.parse(l)));
const waiting = () => JSON.parse(local.getItem('croupier.queue') ?? '[]');
const hung = (_, { signal }) => new Promise((_, fail) => signal.addEventListener('abort', () => fail(new Error('aborted'))));

test('a decision is asked for once in the life of a page, and names its visitor', async () => {
  const client = createClient({ url: 'https://x.example/', key: 'ck_1' });
  const options = { item: 'i', context: { device: 'mobile' } };
  const [one, two] = await Promise.all([client.decide('page', options), client.decide('page', options)]);
  assert.deepEqual(one, decided);
  assert.equal(two, one);
  assert.equal(calls.length, 1);
  assert.equal(calls[0].url, 'https://x.example/v1/decide?key=ck_1');
  const { user, ...rest } = JSON.parse(calls[0].init.body);
  assert.match(user, /^[0-9a-f]{32}$/);
  assert.equal(user, client.user);
  assert.deepEqual(rest, { experiment: 'page', ...options });
  assert.equal(calls[0].init.headers, undefined, 'a simple request needs no preflight');
  assert.equal(createClient().user, user, 'the id is stable');
  await client.decide('page', { item: 'j' });
  assert.equal(calls.length, 2);
});

test('nothing rejects, and the fallback comes: hung, refused, 500, bad JSON, no answer of ours', async () => {
  const cases = [
    [hung, 'timeout'],
    [() => new Promise(() => {}), 'timeout'],
    [() => Promise.reject(new TypeError('refused')), 'error'],
    [() => answer(500, { detail: 'x' }), 'error'],
    [() => answer(200, '<html>'), 'error'],
    [() => answer(200, 'null'), 'error'],
    [() => ({}), 'error'],
  ];
  let client;
  for (const [behaviour, source] of cases) {
    respond = behaviour;
    client = createClient({ timeout: 20 });
    const none = { experiment: 'page', arm: null, payload: 'mine', decision_id: null, source };
    assert.deepEqual(await client.decide('page', { fallback: 'mine' }), none);
    const list = await client.recommend('shop', { k: 3 });
    assert.deepEqual(list, { items: [], source, history: 0 });
  }
  respond = () => answer(200, decided);
  assert.equal((await client.decide('page')).arm, 'b', 'what failed is asked again');
});

test('it never throws, whatever is missing or odd', async () => {
  const broken = () => {
    globalThis.localStorage = new Storage(true);
  };
  const nothing = () => ['fetch', 'localStorage', 'addEventListener', 'document'].forEach((name) => delete globalThis[name]);
  const blocked = () =>
    Object.defineProperty(globalThis, 'localStorage', {
      configurable: true,
      get() {
        throw new Error('SecurityError');
      },
    });
  const odd = () => local.setItem('croupier.queue', '{"not": "a list"}');
  const cyclic = {};
  cyclic.self = cyclic;
  for (const harm of [broken, nothing, blocked, odd]) {
    harm();
    for (const options of [undefined, null, { url: 7 }, { consent: () => { throw new Error('no'); } }, { timeout: 10 }]) {
      const client = createClient(options);
      for (const given of [undefined, null, { context: cyclic }, { context: { n: 1n } }]) {
        assert.equal(typeof (await client.decide('page', given)).source, 'string');
        await client.recommend('shop', given);
      }
      client.track('buy', null);
      client.track('buy', { value: 1n });
      client.view();
      await client.flush();
      listeners.pagehide?.();
      client.optOut();
      client.optIn();
      assert.notEqual(client.user, undefined);
    }
  }
});

test('events go in one batch, are acknowledged, and then forgotten', async () => {
  const client = createClient({ user: 'u1' });
  client.track('purchase', { value: 2, item: 'i' });
  client.track('purchase', { decisionId: 'd1' });
  client.view('sku-9');
  assert.equal(waiting().length, 3);
  assert.equal(await client.flush(), true);
  assert.equal(calls.length, 1);
  const [bought, belonging, seen] = bodies();
  assert.deepEqual({ ...bought, id: 0 }, { id: 0, type: 'reward', name: 'purchase', user: 'u1', value: 2, item: 'i' });
  assert.deepEqual({ ...belonging, id: 0 }, { id: 0, type: 'reward', name: 'purchase', decision_id: 'd1' });
  assert.deepEqual({ ...seen, id: 0 }, { id: 0, type: 'view', user: 'u1', item: 'sku-9' });
  assert.equal(waiting().length, 0);
  await client.flush();
  assert.equal(calls.length, 1, 'nothing waits');
});

test('what was not taken is kept over pages and sent again under its id; what never can be is dropped', async () => {
  respond = () => answer(503, {});
  const client = createClient();
  client.track('buy');
  assert.equal(await client.flush(), false);
  const [{ id }] = bodies();
  assert.equal(waiting()[0].id, id);
  respond = () => Promise.reject(new TypeError('away'));
  assert.equal(await createClient().flush(), false);
  const old = new Date(Date.now() - 3_600_000).toISOString();
  local.setItem('croupier.queue', JSON.stringify(waiting().map((e) => ({ ...e, at: old }))));
  respond = () => answer(202, {});
  const next = createClient();
  assert.equal(await next.flush(), true);
  const last = bodies().at(-1);
  assert.deepEqual([last.id, last.at], [id, old], 'what is old says when it was');
  assert.equal(waiting().length, 0);
  next.track('buy');
  respond = () => answer(400, {});
  assert.equal(await next.flush(), true);
  assert.equal(waiting().length, 0);
});

test('what comes while a batch is on its way is not lost', async () => {
  let go;
  respond = () => new Promise((resolve) => (go = () => resolve(answer(202, {}))));
  const client = createClient();
  client.track('one');
  const sent = client.flush();
  await Promise.resolve();
  client.track('two');
  go();
  await sent;
  assert.deepEqual(waiting().map((e) => e.name), ['two']);
});

test('the queue is bounded in number and in bytes, the newest stay', () => {
  const client = createClient();
  for (let n = 0; n < 250; n++) client.track(`e${n}`);
  assert.equal(waiting().length, 100);
  assert.equal(waiting().at(-1).name, 'e249');
  for (let n = 0; n < 100; n++) client.track(`${n}${'ü'.repeat(2_000)}`);
  const text = local.getItem('croupier.queue');
  assert.ok(Buffer.byteLength(text) <= 50_000, `${Buffer.byteLength(text)}`);
  assert.ok(waiting().at(-1).name.startsWith('99'));
  client.track('x'.repeat(100_000));
  assert.equal(waiting().length, 0, 'one that is too large by itself');
});

test('a page that is left sends a beacon, and keeps what nobody acknowledged', async () => {
  const client = createClient({ url: 'https://x.example', key: 'k' });
  listeners.pagehide();
  assert.equal(beacons.length, 0, 'nothing waits');
  client.track('buy');
  listeners.visibilitychange();
  assert.equal(beacons.length, 0, 'it is still looked at');
  document.visibilityState = 'hidden';
  listeners.visibilitychange();
  listeners.pagehide();
  assert.equal(beacons.length, 2);
  assert.equal(beacons[0].url, 'https://x.example/v1/events?key=k');
  assert.equal(JSON.parse(beacons[0].body).id, waiting()[0].id);
  await client.flush();
  assert.equal(bodies()[0].id, JSON.parse(beacons[0].body).id, 'sent again under the same id');
});

test('before consent nothing is stored; the id lasts as long as the page, and is kept once it may be', async () => {
  let agreed = false;
  const client = createClient({ consent: () => agreed });
  const { user } = client;
  client.track('buy');
  await client.decide('page');
  assert.equal(local.kept.size, 0);
  assert.equal(client.user, user);
  assert.equal(JSON.parse(calls[0].init.body).user, user);
  agreed = true;
  assert.equal(client.user, user);
  assert.equal(local.getItem('croupier.id'), user);
  assert.equal(waiting().length, 1);
  agreed = false;
  assert.notEqual(createClient({ consent: false }).user, user, 'consent that was taken back is heeded');
});

test('consent that comes after the page began costs neither the known visitor nor the events of an outage', async () => {
  const before = createClient();
  const { user } = before;
  respond = () => answer(503, '');
  before.track('buy');
  assert.equal(await before.flush(), false);
  const [old] = waiting();

  let agreed = false;
  const client = createClient({ consent: () => agreed });
  client.track('view');
  const { user: stranger } = client;
  assert.notEqual(stranger, user, 'nothing is read before consent');
  agreed = true;
  assert.equal(client.user, stranger, 'one page, one visitor');
  assert.equal(local.getItem('croupier.id'), user, 'later pages know who it is');
  assert.deepEqual(waiting().map((e) => [e.user, e.name]), [[user, 'buy'], [stranger, 'view']]);
  respond = () => answer(202, { accepted: 2, rejected: [] });
  calls = [];
  assert.equal(await client.flush(), true);
  assert.deepEqual(bodies().map((e) => e.name), ['buy', 'view']);
  assert.equal(bodies()[0].id, old.id);
  assert.deepEqual(waiting(), []);
  assert.equal(createClient().user, user);
});

test('who opts out is forgotten, and nothing is asked or sent until they opt in', async () => {
  const client = createClient();
  const { user } = client;
  client.track('buy');
  client.optOut();
  assert.deepEqual([...local.kept], [['croupier.out', '1']]);
  for (const left of [client, createClient()]) {
    assert.deepEqual((await left.decide('page', { fallback: 1 })).source, 'opted_out');
    assert.equal((await left.recommend('shop')).source, 'opted_out');
    left.track('buy');
    left.view('i');
    await left.flush();
    listeners.pagehide();
    assert.equal(left.user, null);
  }
  assert.deepEqual([calls.length, beacons.length, local.kept.size], [0, 0, 1]);
  client.optIn();
  assert.equal((await client.decide('page')).arm, 'b');
  assert.notEqual(client.user, user);
});

test('a decision in time is reported as seen where that is wanted', async () => {
  const client = createClient({ exposures: true, timeout: 20 });
  await client.decide('page');
  await client.decide('page');
  respond = hung;
  await client.decide('other');
  assert.deepEqual(waiting().map((e) => [e.type, e.decision_id]), [['exposure', 'd1']]);
});

test('the plain script is the module', async () => {
  const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const [body, rest] = read('client.js').split('\nexport { createClient };\n');
  assert.equal(rest, '');
  assert.equal(read('client.script.js'), `(() => {\n${body}\nglobalThis.croupier = { createClient };\n})();\n`);
  const scope = vm.createContext({});
  vm.runInContext(read('client.script.js'), scope);
  assert.equal(vm.runInContext('typeof croupier.createClient({}).decide', scope), 'function');
});
