// The product's own design in Node: ranges of 500 made due, and one small job for each slice of work.
import { Queue } from 'bullmq';
import { begin, db, redis } from './common.mjs';

const campaign = +process.argv[2];
const queue = new Queue('slices', { connection: redis });
await queue.waitUntilReady();
await begin();
const { rowCount } = await db.query(
  `insert into ranges (campaign_id, first_id, last_id)
   select $1, min(id), max(id) from (select id, (row_number() over (order by id) - 1) / 500 as part
     from recipients where campaign_id = $1 and state = 0) numbered group by part order by part`, [campaign]);
await queue.addBulk(Array.from({ length: Math.ceil(rowCount / 10) }, () => ({ name: 'slice', data: { campaign } })));
await queue.close();
await db.end();
process.exit(0);
