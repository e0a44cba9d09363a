// Sends commands, and waits for the reply to each of them.
import { randomUUID } from 'node:crypto';
import { compatibilityPartitioner, Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka';

const clientId = 'shop';
const bootstrapBrokers = (process.env.TRIPTYCH_KAFKA_BOOTSTRAP ?? '127.0.0.1:9092').split(',');
const prefix = process.env.TRIPTYCH_TOPIC_PREFIX ?? 'triptych.';
const FIRST_RETRY_MS = 5_000;
const DEADLINE_MS = 60_000;

/** Commands over one connection. Several may be sent at the same time. */
class Commands {
  #consumer = new Consumer({ clientId, groupId: `shop-replies-${randomUUID()}`, bootstrapBrokers, deserializers: stringDeserializers });
  #producer = new Producer({
    clientId,
    bootstrapBrokers,
    serializers: stringSerializers,
    // murmur2 as Java has it: the command reaches its gallery's partition directly. The default is another murmur2.
    partitioner: compatibilityPartitioner,
    // Kafka keeps the order of commands if one has to be sent again.
    idempotent: true,
    retries: 5
  });
  #waiting = new Map();

  /** Reads replies from the present end of the topic, before any command is sent: none can be missed. */
  async open() {
    const topic = `${prefix}replies`;
    const ends = (await this.#consumer.listOffsets({ topics: [topic] })).get(topic);
    const offsets = ends.map((offset, partition) => ({ topic, partition, offset }));
    const replies = await this.#consumer.consume({ topics: [topic], mode: 'manual', offsets, autocommit: false });
    // The topic has the replies to all senders. The key of a reply is the correlation id of its command.
    replies.on('data', ({ key, value }) => this.#waiting.get(key)?.(JSON.parse(value)));
    return this;
  }

  /** The reply to a command. The same id sent again has no second effect, and gets the first reply. */
  async send(name, data, id = randomUUID()) {
    const correlationId = randomUUID();
    const command = {
      specversion: '1.0',
      id,
      type: `triptych.command.v1.${name}`,
      source: clientId,
      correlationid: correlationId,
      data
    };
    const answered = new Promise((resolve) => this.#waiting.set(correlationId, resolve));
    const ends = Date.now() + DEADLINE_MS;
    try {
      for (let pause = FIRST_RETRY_MS; Date.now() < ends; pause *= 2) {
        await this.#producer.send({
          messages: [{ topic: `${prefix}commands`, key: data.galleryId, value: JSON.stringify(command) }]
        });
        const reply = await within(Math.min(pause, ends - Date.now()), answered);
        if (reply) return reply;
      }
    } finally {
      this.#waiting.delete(correlationId);
    }
    throw new Error(`no reply to ${id}: it may still be carried out; send it again with this id to find out`);
  }

  async close() {
    await Promise.all([this.#producer.close(), this.#consumer.close(true)]);
  }
}

/** What the promise gives, or undefined after these milliseconds. */
async function within(milliseconds, promise) {
  let timer;
  const late = new Promise((resolve) => { timer = setTimeout(resolve, milliseconds); });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const commands = await new Commands().open();

const galleryId = randomUUID();
const gallery = { name: 'From JavaScript', items: [{ title: 'One', text: { html: '<p>1</p>' } }, { title: 'Two', text: { html: '<p>2</p>' } }] };
const created = await commands.send('CreateGallery', { galleryId, gallery }, `create-${galleryId}`);
console.log(created.outcome, 'gallery', created.galleryId, 'sequence', created.sequence, 'items', created.itemIds.length);

// As if the reply had been lost: the same id and data.
const again = await commands.send('CreateGallery', { galleryId, gallery }, `create-${galleryId}`);
console.log('again', again.outcome, 'sequence', again.sequence, 'same items', again.itemIds.join() === created.itemIds.join());

const image = { imageInfo: { url: 'https://static.example/one.jpg' }, quality: 7 };
const refused = await commands.send('UpdateItem', { galleryId, itemId: created.itemIds[0], item: { image } });
for (const { field, description } of refused.error.violations) console.log(refused.outcome, refused.error.code, field, description);

await commands.close();
