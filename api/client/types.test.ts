// Compiled, not run: what the types must take and refuse.
import { createClient, type Client, type Decision } from './client.js';

const client: Client = createClient({ url: 'https://abtest.example', timeout: 300, consent: () => false });
const decision: Decision<{ layout: string }> = await client.decide('page', {
  item: 'sku-9',
  context: { device: 'mobile', age: 3, known: true },
  fallback: { layout: 'a' },
});
decision.payload.layout.toUpperCase();
client.track('purchase', { value: 2.5, decisionId: decision.decision_id });
client.view('sku-9');
(await client.recommend<{ name: string }>('shop', { k: 5 })).items[0]?.payload.name.trim();
const sent: boolean = await client.flush();
client.optOut();
client.optIn();
createClient();

// @ts-expect-error: a limit is a number
createClient({ timeout: '300' });
// @ts-expect-error: a context is flat
client.decide('page', { context: { nested: {} } });
// @ts-expect-error: an arm may be missing
decision.arm.length;
export { sent };
