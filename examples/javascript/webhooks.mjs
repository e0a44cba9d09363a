// Receives webhooks: verifies each delivery, answers, and handles each event once.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const [address, port] = (process.env.LISTEN ?? '127.0.0.1:9000').split(':');
// While a secret is rotated there are two, separated by a space.
const keys = (process.env.WEBHOOK_SECRET ?? '').split(' ').filter(Boolean).map((secret) => Buffer.from(secret.replace(/^whsec_/, ''), 'base64'));
if (!keys.length) throw new Error('set WEBHOOK_SECRET to the secret of the listener, whsec_…');
const BODY_MAX = 1024 * 1024;
const TOLERANCE_SECONDS = 300;
const REMEMBERED = 10_000;

/** Throws unless the delivery is signed with one of the keys. Any library of Standard Webhooks does the same. */
function verify(headers, body) {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures = '' } = headers;
  const age = Math.abs(Date.now() / 1000 - Number(timestamp));
  if (!(age <= TOLERANCE_SECONDS)) throw new Error('the timestamp is missing, too old or too new');
  const given = signatures.split(' ').map((signature) => Buffer.from(signature));
  const isRight = keys.some((key) => {
    const expected = Buffer.from(`v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`);
    return given.some((one) => one.length === expected.length && timingSafeEqual(one, expected));
  });
  if (!isRight) throw new Error('the signature is wrong');
}

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_MAX) throw new Error('the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Ids of events that have been handled. In your service, a table with a unique key, in the transaction of the effect. */
const handled = new Set();

/** Your code. Events may come in any order: `entityEventSequence` says which of two is newer. */
function handle({ type, data }) {
  if (handled.has(data.id)) return;
  console.log(`${data.entityId}  #${data.entityEventSequence}  ${type}`);
  handled.add(data.id);
  if (handled.size > REMEMBERED) handled.delete(handled.values().next().value);
}

const server = createServer(async (request, response) => {
  try {
    const body = await bodyOf(request);
    verify(request.headers, body);
    // Answer within the listener's timeout. If handling takes longer, store the event first and handle it afterwards.
    handle(JSON.parse(body));
    response.writeHead(204).end();
  } catch (error) {
    console.error(`refused: ${error.message}`);
    response.writeHead(400, { connection: 'close' }).end(); // the relay tries again later
  }
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close());
server.listen(Number(port), address);
