// The product's own design in Node: lease a range, mark a group with policy, call, settle a group. MARKS=none leaves the
// marks out, as a port that accepts a second send after a crash would.
import { Worker } from 'bullmq';
import { concurrency, db, redis, send } from './common.mjs';

const marks = process.env.MARKS !== 'none';
const GROUP = 250;
const lease = `update ranges r set lease_until = now() + interval '30 s'
  from (select id from ranges where campaign_id = $1 and lease_until is null order by id limit 1
        for update skip locked) due
  where r.id = due.id returning r.id, r.first_id, r.last_id`;
const read = `select id, phone, params from recipients
  where campaign_id = $1 and id between $2 and $3 and state = 0 order by id`;
const mark = `update recipients r set attempt = attempt + 1,
    (state, called_at) = (select case when refused then 3 else 1 end, case when not refused then now() end
      from (select c.id is null or (t.category = 'MARKETING' and c.marketing_consent = 'withdrawn') as refused
            from (select) once left join contacts c on c.id = r.contact_id
            left join templates t on t.id = r.template_id) asked)
  where r.id = any($1::bigint[]) and r.state = 0 returning r.id, r.state`;
const settle = `update recipients r set state = 2, provider_id = o.provider_id, sent_at = now()
  from unnest($1::bigint[], $2::text[]) o(id, provider_id) where r.id = o.id and r.state < 2`;

async function sendGroup(rows) {
  let going = rows;
  if (marks) {
    const marked = await db.query({ name: 'mark', text: mark, values: [rows.map((row) => row.id)] });
    const may = new Set(marked.rows.filter((row) => row.state === 1).map((row) => row.id));
    going = rows.filter((row) => may.has(row.id));
  }
  const ids = [], providerIds = [];
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(concurrency, going.length) }, async () => {
    while (next < going.length) {
      const row = going[next++];
      const providerId = await send(row);
      ids.push(row.id);
      providerIds.push(providerId);
    }
  }));
  if (ids.length) await db.query({ name: 'settle', text: settle, values: [ids, providerIds] });
}

const worker = new Worker('slices', async ({ data: { campaign } }) => {
  for (;;) {
    const { rows: [range] } = await db.query({ name: 'lease', text: lease, values: [campaign] });
    if (!range) return;
    const { rows } = await db.query({ name: 'read', text: read, values: [campaign, range.first_id, range.last_id] });
    for (let at = 0; at < rows.length; at += GROUP) await sendGroup(rows.slice(at, at + GROUP));
    await db.query({ name: 'done', text: 'delete from ranges where id = $1', values: [range.id] });
  }
}, { connection: redis, concurrency: 2, removeOnComplete: { count: 0 } });
worker.on('error', (error) => console.error(error.message));
worker.on('failed', (_job, error) => console.error(error.message));
await worker.waitUntilReady();
await db.query('select 1');
console.log('READY');
