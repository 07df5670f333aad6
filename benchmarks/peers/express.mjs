// Webhooks as most would take them: Express, the signature checked over the raw body, one INSERT for each event, then 200.
import crypto from 'node:crypto';
import express from 'express';
import pg from 'pg';

const secret = process.env.APP_SECRET;
const db = new pg.Pool({ connectionString: process.env.DATABASE, max: 20 });
const insert = `insert into webhook_events (event_key, kind, account, payload) values ($1, $2, $3, $4)
  on conflict do nothing`;
const app = express();
app.use(express.json({ limit: '3mb', verify: (request, _response, raw) => { request.raw = raw; } }));

app.post('/hooks', async (request, response) => {
  const given = Buffer.from(String(request.headers['x-hub-signature-256']).slice(7));
  const right = Buffer.from(crypto.createHmac('sha256', secret).update(request.raw).digest('hex'));
  if (given.length !== right.length || !crypto.timingSafeEqual(given, right)) return response.sendStatus(401);
  const text = request.raw.toString();
  for (const entry of request.body.entry) {
    for (const { value } of entry.changes) {
      const account = value.metadata.phone_number_id;
      for (const status of value.statuses ?? []) {
        await db.query({ name: 'insert', text: insert, values: [`${status.id}:${status.status}`, 1, account, text] });
      }
      for (const message of value.messages ?? []) {
        await db.query({ name: 'insert', text: insert, values: [message.id, 0, account, text] });
      }
    }
  }
  response.status(200).send('ok');
});

await Promise.all(Array.from({ length: 20 }, () => db.query('select 1')));
app.listen(+process.env.PORT, '127.0.0.1', () => console.log('READY'));
