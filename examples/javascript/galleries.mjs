// Keeps all galleries with all their items, each in the state after one of its events.
import { randomUUID } from 'node:crypto';
import { Consumer, FetchIsolationLevels, stringDeserializers } from '@platformatic/kafka';

const bootstrapBrokers = (process.env.TRIPTYCH_KAFKA_BOOTSTRAP ?? '127.0.0.1:9092').split(',');
const topic = `${process.env.TRIPTYCH_TOPIC_PREFIX ?? 'triptych.'}galleries`;

/** A gallery. The numbers are those of the rules in docs/consumers.md. A change costs the same however many items there are. */
class Gallery {
  head; // the latest head record
  shown; // the head record of the state that is shown
  items = new Map(); // the item records of the state that is shown
  #changes = new Map(); // item records since then; null for a removed item
  #count = 0; // items with the changes
  #ahead = new Set(); // items with a higher sequence than the head

  /** A record of the topic. Returns whether the gallery is shown in a new state. */
  feed(itemId, record) {
    if (itemId) {
      const before = this.#changes.has(itemId) ? this.#changes.get(itemId) : this.items.get(itemId);
      if (record) {
        if (before === null) return false; // 2: it was removed
        if (before ? record.sequence < before.sequence : record.sequence <= this.shown?.sequence) return false; // 1, 4
      }
      this.#changes.set(itemId, record);
      this.#count += (record ? 1 : 0) - (before ? 1 : 0);
      if (record && !(record.sequence <= this.head?.sequence)) this.#ahead.add(itemId);
      else this.#ahead.delete(itemId);
    } else {
      if (record.sequence < this.head?.sequence) return false; // 1
      this.head = record;
      for (const id of this.#ahead) if (this.#changes.get(id).sequence <= record.sequence) this.#ahead.delete(id);
    }
    return this.#count === this.head?.totalItems && this.#ahead.size === 0 && this.#show(); // 3
  }

  #show() {
    const isHigher = !(this.head.sequence <= this.shown?.sequence);
    for (const [id, record] of this.#changes) {
      if (record) this.items.set(id, record);
      else this.items.delete(id);
      if (record || isHigher) this.#changes.delete(id); // 2: otherwise it stays removed
    }
    this.shown = this.head;
    return isHigher;
  }
}

const galleries = new Map(); // null for a deleted gallery

function feed({ key, value }) {
  const [galleryId, itemId] = key.split('/');
  if (galleries.get(galleryId) === null) return; // 5
  if (!itemId && value === undefined) {
    galleries.set(galleryId, null); // 5
    console.log(`${galleryId}  deleted`);
    return;
  }
  const record = value === undefined ? null : JSON.parse(value);
  if (!galleries.has(galleryId)) galleries.set(galleryId, new Gallery());
  const gallery = galleries.get(galleryId);
  if (gallery.feed(itemId, record)) changed(galleryId, gallery);
}

/** Your code. `gallery.items` has all items; `gallery.shown.items` the first 100 in display order (`sortOrder`, descending). */
function changed(galleryId, { shown, items }) {
  const titles = shown.items.slice(0, 3).map(({ title }) => title ?? '(no title)');
  console.log(`${galleryId}  #${shown.sequence}  ${shown.gallery.name}: ${items.size} items: ${titles.join(', ')}`);
}

// The state is in memory, so each start reads from the beginning, and instances share no work: the group has one member.
const groupId = `shop-galleries-${randomUUID()}`;
const consumer = new Consumer({ clientId: 'shop', groupId, bootstrapBrokers, deserializers: stringDeserializers });
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => consumer.close(true));

const isolationLevel = FetchIsolationLevels.READ_COMMITTED;
for await (const record of await consumer.consume({ topics: [topic], mode: 'earliest', isolationLevel, autocommit: false })) {
  try {
    feed(record);
  } catch (error) {
    console.error(`${topic}-${record.partition}@${record.offset} is skipped: ${error.message}`);
  }
}
