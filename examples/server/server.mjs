// Decides on the server and sends the finished page: `node server.mjs [API] [PORT] [LIMIT_MS]`. No package is needed.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

const [api = 'http://127.0.0.1:8080', port = '3000', limit = '300'] = process.argv.slice(2);
const CONTROL = { arm: null, payload: { text: 'Fits like yours' }, decision_id: null };

// Whatever goes wrong, the control is shown after the limit at the latest.
async function decide(experiment, user) {
  try {
    const response = await fetch(`${api}/v1/decide`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' }, // and `authorization: Bearer KEY`, for an API with keys
      body: JSON.stringify({ experiment, user }),
      signal: AbortSignal.timeout(Number(limit)),
    });
    return response.ok ? await response.json() : CONTROL;
  } catch {
    return CONTROL;
  }
}

const escape = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
// JSON inside a script: nothing in it may end the script.
const inScript = (value) => JSON.stringify(value).replace(/</g, '\\u003c');

const page = (user, { arm, payload, decision_id }) => `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>A shop</title><link rel="icon" href="data:,"></head>
  <body data-arm="${escape(arm ?? 'none')}">
    <h1>${escape(payload.text)}</h1>
    <button>Look around</button>
    <script type="module">
      import { createClient } from ${inScript(`${api}/client.js`)};
      const croupier = createClient({ url: ${inScript(api)}, user: ${inScript(user)} });
      document.querySelector('button').onclick = () => croupier.track('click', { decisionId: ${inScript(decision_id)} });
      document.body.dataset.ready = 'yes';
    </script>
  </body>
</html>`;

const server = createServer(async (request, response) => {
  if (request.url !== '/') return response.writeHead(404).end();
  const known = /(?:^|; )visitor=([0-9a-f-]{36})(?:;|$)/.exec(request.headers.cookie ?? '')?.[1];
  const user = known ?? randomUUID();
  const decision = await decide('headline', user);
  const cookie = `visitor=${user}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax`;
  response.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'private, no-store', // each visitor has their own
    ...(known ? {} : { 'set-cookie': cookie }),
  });
  response.end(page(user, decision));
});
server.listen(Number(port), '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
