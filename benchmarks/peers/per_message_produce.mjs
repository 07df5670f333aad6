// BullMQ as its guides show it: one job for each message, added in bulks of a thousand.
import { Queue } from 'bullmq';
import { begin, db, redis } from './common.mjs';

const campaign = +process.argv[2];
const queue = new Queue('send', { connection: redis });
await queue.waitUntilReady();
await begin();
for (let last = 0; ;) {
  const { rows } = await db.query(
    'select id, phone, params from recipients where campaign_id = $1 and state < 2 and id > $2 order by id limit 1000',
    [campaign, last]);
  if (!rows.length) break;
  last = rows.at(-1).id;
  await queue.addBulk(rows.map((row) => ({ name: 'message', data: row,
    opts: { attempts: 3, backoff: { type: 'exponential', delay: 1000 }, removeOnComplete: true } })));
}
await queue.close();
await db.end();
process.exit(0);
