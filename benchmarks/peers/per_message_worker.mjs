// One job, one message. WRITE=each: an UPDATE for each; WRITE=batched: up to 500 or 20 ms of them in one statement.
import { Worker } from 'bullmq';
import { concurrency, db, redis, send } from './common.mjs';

const one = 'update recipients set state = 2, provider_id = $2, sent_at = now() where id = $1 and state < 2';
const many = `update recipients r set state = 2, provider_id = o.provider_id, sent_at = now()
  from unnest($1::bigint[], $2::text[]) o(id, provider_id) where r.id = o.id and r.state < 2`;
let waiting = [], timer = null;

async function flush() {
  clearTimeout(timer);
  timer = null;
  const batch = waiting;
  waiting = [];
  if (!batch.length) return;
  try {
    await db.query({ name: 'many', text: many, values: [batch.map((o) => o.id), batch.map((o) => o.providerId)] });
    for (const outcome of batch) outcome.resolve();
  } catch (error) {
    for (const outcome of batch) outcome.reject(error);
  }
}

function write(id, providerId) {
  if (process.env.WRITE !== 'batched') return db.query({ name: 'one', text: one, values: [id, providerId] });
  return new Promise((resolve, reject) => {
    waiting.push({ id, providerId, resolve, reject });
    if (waiting.length >= 500) flush(); else timer ??= setTimeout(flush, 20);
  });
}

const worker = new Worker('send', async (job) => write(job.data.id, await send(job.data)),
  { connection: redis, concurrency, removeOnComplete: { count: 0 }, removeOnFail: { count: 1000 } });
worker.on('error', (error) => console.error(error.message));
worker.on('failed', (_job, error) => console.error(error.message));
await worker.waitUntilReady();
await db.query('select 1');
console.log('READY');
