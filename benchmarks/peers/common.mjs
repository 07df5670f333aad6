// What all peers share: the database, the provider, the body of a message.
import pg from 'pg';
import { Pool as Lines } from 'undici';

const env = process.env;
export const redis = { host: '127.0.0.1', port: +env.REDIS_PORT, password: env.REDIS_PASSWORD || undefined, db: 9, maxRetriesPerRequest: null };
export const concurrency = +(env.CONCURRENCY || 100);
export const db = new pg.Pool({ connectionString: env.DATABASE, max: 20 });

const provider = new URL(env.PROVIDER);
const lines = new Lines(provider.origin, { connections: concurrency });
const headers = { authorization: `Bearer ${env.TOKEN}`, 'content-type': 'application/json' };

const body = (row) => JSON.stringify({
  messaging_product: 'whatsapp', recipient_type: 'individual', to: row.phone, type: 'template',
  template: { name: 'novidade', language: { code: 'pt_BR' },
    components: [{ type: 'body', parameters: [{ type: 'text', text: row.params['body.1'] }] }] },
  biz_opaque_callback_data: `${env.RUN}:${row.id}`,
});

// One call; answers the provider's id. HTTP=fetch is what most would write, HTTP=request what the careful would.
export async function send(row) {
  let answer;
  if (env.HTTP === 'request') {
    const response = await lines.request({ path: provider.pathname, method: 'POST', headers, body: body(row) });
    answer = await response.body.json();
  } else {
    answer = await (await fetch(provider, { method: 'POST', headers, body: body(row) })).json();
  }
  return answer.messages[0].id;
}

// A producer has loaded its code and is told by a line when to begin.
export async function begin() {
  await db.query('select 1');
  console.log('READY');
  await new Promise((resolve) => process.stdin.once('data', resolve));
}
