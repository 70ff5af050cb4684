(() => {
// Croupier's client for pages. No dependency, no build; it never throws into the page.
// What a page sends are simple requests (text, key in the address), so that browsers ask no leave beforehand.

const PREFIX = 'croupier.';
const MOST_EVENTS = 100;
const MOST_BYTES = 50_000; // a beacon takes 64 KiB
const now = () => Date.now();
const random = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
const quietly = (work) => {
  try {
    return work();
  } catch {
    return undefined;
  }
};

function createClient(options) {
  const { url = '', key, user, timeout = 300, consent = true, exposures = false } = options ?? {};
  const memory = new Map(); // what may not be stored, or cannot be
  const decisions = new Map();
  const born = now();
  let sending, timer;
  let early = false; // whether memory holds what was written before it might be stored
  let pause = 1000;

  const out = () => memory.get('out') ?? quietly(() => localStorage.getItem(PREFIX + 'out'));
  const allowed = () => !!quietly(() => (typeof consent === 'function' ? consent() : consent));

  const parse = (text) => quietly(() => JSON.parse(text).filter((e) => e?.id)) ?? [];
  const bounded = (events) => {
    let kept = events.slice(-MOST_EVENTS);
    let text = JSON.stringify(kept);
    while (new TextEncoder().encode(text).length > MOST_BYTES) {
      kept = kept.slice(Math.ceil(kept.length / 10)); // the oldest go first
      text = JSON.stringify(kept);
    }
    return text;
  };

  // From memory to storage as soon as that may be. What earlier pages stored stays: their visitor, whose place this page's
  // takes nowhere but here, and the events that they could not send.
  const settle = () =>
    quietly(() => {
      if (!allowed()) return;
      for (const [name, value] of memory) {
        const stored = localStorage.getItem(PREFIX + name);
        if (name === 'id' && stored) continue;
        const both = early && name === 'queue' && stored;
        localStorage.setItem(PREFIX + name, both ? bounded([...parse(stored), ...parse(value)]) : value);
        memory.delete(name);
        if (both) later(0);
      }
      early = false;
    });
  const read = (name) => {
    settle();
    return memory.get(name) ?? (allowed() ? quietly(() => localStorage.getItem(PREFIX + name)) : undefined);
  };
  const write = (name, value) => {
    early ||= !allowed();
    memory.set(name, value);
    settle();
  };
  const forget = (name) => {
    memory.delete(name);
    quietly(() => localStorage.removeItem(PREFIX + name));
  };

  const visitor = () => {
    const known = user ?? read('id');
    if (known) return known;
    const made = random();
    write('id', made);
    return made;
  };

  const address = (path, query) => {
    const pairs = Object.entries({ ...query, key }).filter(([, value]) => value != null);
    const text = new URLSearchParams(pairs).toString();
    return url.replace(/\/$/, '') + path + (text && '?' + text);
  };

  // An answer within the limit in ms, or undefined and why.
  const ask = async (target, init, limit) => {
    const stop = quietly(() => new AbortController());
    let clock;
    const late = new Promise((resolve) => {
      clock = setTimeout(() => {
        resolve({ why: 'timeout' });
        stop?.abort();
      }, limit);
    });
    const answer = (async () => {
      try {
        const response = await fetch(target(), { ...init?.(), signal: stop?.signal });
        return response.ok ? { status: response.status, body: await response.json() } : { status: response.status, why: 'error' };
      } catch {
        return { why: 'error' };
      }
    })();
    const first = await Promise.race([answer, late]);
    clearTimeout(clock);
    return first;
  };

  // Marked elements are hidden until their experiment is decided, at most until the limit; the style ends by itself.
  const marked = (experiment) =>
    quietly(() => [...document.querySelectorAll('[data-croupier]')].filter((e) => e.dataset.croupier === experiment)) ?? [];
  const reveal = (experiment) => marked(experiment).forEach((e) => e.removeAttribute('data-croupier'));
  quietly(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(
      `[data-croupier]{visibility:hidden;animation:croupier 0s ${timeout}ms forwards}@keyframes croupier{to{visibility:visible}}`,
    );
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    setTimeout(() => (document.adoptedStyleSheets = document.adoptedStyleSheets.filter((s) => s !== sheet)), timeout);
  });

  async function decide(experiment, options) {
    const { item, context = {}, fallback = null } = options ?? {};
    const none = (source) => ({ experiment, arm: null, payload: fallback, decision_id: null, source });
    try {
      if (out()) return none('opted_out');
      const who = visitor();
      const name = JSON.stringify([experiment, who, item, context]);
      const known = decisions.get(name);
      if (known) return await known;
      // What is hidden is shown at one moment for all: no longer is waited for it.
      const left = born + timeout - now();
      const limit = left > 0 && marked(experiment).length ? left : timeout;
      const body = () => ({ method: 'POST', body: JSON.stringify({ experiment, user: who, item, context }) });
      const asked = ask(() => address('/v1/decide'), body, limit).then(({ body, why }) => {
        if (body?.arm == null) {
          decisions.delete(name); // the next call asks again
          return none(why ?? 'error');
        }
        if (exposures) push({ type: 'exposure', decision_id: body.decision_id });
        return body;
      });
      decisions.set(name, asked);
      return await asked;
    } catch {
      return none('error');
    } finally {
      setTimeout(() => quietly(() => reveal(experiment))); // after the page has rendered
    }
  }

  const queue = () => parse(read('queue') ?? '[]');
  const keep = (events) => write('queue', bounded(events));

  const push = (event) =>
    quietly(() => {
      if (out()) return;
      keep([...queue(), { id: random(), user: event.decision_id ? undefined : visitor(), ...event, at: new Date().toISOString() }]);
      later(200);
    });
  const later = (wait) => {
    clearTimeout(timer);
    timer = setTimeout(flush, wait);
    timer?.unref?.();
  };
  // The server stamps what has just happened: clocks of visitors are wrong more often than the network is slow.
  const lines = (events) =>
    events.map((e) => JSON.stringify(Math.abs(now() - Date.parse(e.at)) < 10_000 ? { ...e, at: undefined } : e)).join('\n');

  function flush() {
    return (sending ??= send().finally(() => (sending = undefined)));
  }
  async function send() {
    try {
      if (out()) return true;
      const events = queue();
      if (!events.length) return true;
      const init = () => ({ method: 'POST', body: lines(events), keepalive: true });
      const { status, body } = await ask(() => address('/v1/events'), init, 10_000);
      const done = body || status === 400 || status === 413; // what can never be taken must not hold up the rest
      if (!done) {
        later(pause);
        pause = Math.min(pause * 2, 60_000);
        return false;
      }
      pause = 1000;
      const sent = new Set(events.map((e) => e.id));
      const rest = queue().filter((e) => !sent.has(e.id));
      keep(rest);
      if (rest.length) later(200);
      return true;
    } catch {
      return false;
    }
  }
  // A beacon brings no answer: what it took is kept, and sent again by the next page. Ids make that count once.
  const leave = () =>
    quietly(() => {
      const events = out() ? [] : queue();
      if (events.length) navigator.sendBeacon(address('/v1/events'), lines(events));
    });
  quietly(() => {
    addEventListener('pagehide', leave);
    addEventListener('online', () => flush());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && leave());
  });
  quietly(() => queue().length && later(0));

  return {
    decide,
    flush,
    track: (name, options) => {
      const { value, item, decisionId, experiment } = options ?? {};
      push({ type: 'reward', name, value, item, decision_id: decisionId, experiment });
    },
    view: (item) => void push({ type: 'view', item }),
    async recommend(catalog, options) {
      const { k = 10, ...query } = options ?? {};
      const none = { items: [], source: 'timeout', history: 0 };
      try {
        if (out()) return { ...none, source: 'opted_out' };
        const path = `/v1/catalogs/${encodeURIComponent(catalog)}/recommendations`;
        const { body, why } = await ask(() => address(path, { ...query, user: visitor(), k }), null, timeout);
        return Array.isArray(body?.items) ? body : { ...none, source: why ?? 'error' };
      } catch {
        return { ...none, source: 'error' };
      }
    },
    get user() {
      return out() ? null : (quietly(visitor) ?? null);
    },
    optOut: () => {
      ['id', 'queue'].forEach(forget);
      decisions.clear();
      quietly(() => localStorage.setItem(PREFIX + 'out', '1'));
      memory.set('out', '1');
    },
    optIn: () => forget('out'),
  };
}

globalThis.croupier = { createClient };
})();
