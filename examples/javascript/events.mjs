// Handles each event of the galleries once, in order, and reports events that are missing.
import { Consumer, FetchIsolationLevels } from '@platformatic/kafka';

const bootstrapBrokers = (process.env.TRIPTYCH_KAFKA_BOOTSTRAP ?? '127.0.0.1:9092').split(',');
const topic = `${process.env.TRIPTYCH_TOPIC_PREFIX ?? 'triptych.'}events`;
const EVENT = 'wix.pro_gallery.gallery_v2_';

/**
 * What has been handled of each gallery: the highest sequence, and the ranges below it that are missing. It is in memory
 * here, so events that come again after a restart are handled again. In your service, store it in the transaction that
 * stores the effect of the event.
 */
const handled = new Map();

/** Whether an event is to be handled. The first one of a gallery is, whatever its number: earlier ones may have expired. */
function isNew(galleryId, sequence, partition) {
  const known = handled.get(galleryId);
  if (!known) {
    handled.set(galleryId, { last: sequence, missing: [], partition });
    return true;
  }
  if (sequence > known.last) {
    if (sequence > known.last + 1) {
      // They are lost, or late: after partitions were added, they may still come from the gallery's former partition.
      console.error(`${galleryId}  #${known.last + 1} to #${sequence - 1} are missing`);
      known.missing = [...known.missing, [known.last + 1, sequence - 1]].slice(-16);
    }
    Object.assign(known, { last: sequence, partition });
    return true;
  }
  const range = known.missing.find(([first, last]) => first <= sequence && sequence <= last);
  if (!range) return false; // a repeat
  const rest = [[range[0], sequence - 1], [sequence + 1, range[1]]].filter(([first, last]) => first <= last);
  known.missing = [...known.missing.filter((other) => other !== range), ...rest];
  return true;
}

/** The event in a record. Other records of this topic belong to snapshots, which have no sequence. */
function read({ headers, value, partition, offset }) {
  const attribute = (name) => headers.get(name)?.toString() ?? '';
  const event = { type: attribute('ce_type'), galleryId: attribute('ce_subject'), sequence: Number(attribute('ce_sequence')) };
  if (!event.type.startsWith(EVENT) || !event.sequence) return undefined;
  try {
    return { ...event, body: JSON.parse(value) };
  } catch (error) {
    console.error(`${topic}-${partition}@${offset} is skipped: ${error.message}`);
    return undefined;
  }
}

/** Your code. */
function handle({ type, galleryId, sequence, body }) {
  const names = {
    [`${EVENT}created`]: () => body.createdEvent.entity.name,
    [`${EVENT}updated`]: () => body.updatedEvent.currentEntity.name,
    [`${EVENT}gallery_item_created`]: () => body.actionEvent.body.item.title,
    [`${EVENT}gallery_item_updated`]: () => body.actionEvent.body.updatedItem.title,
    [`${EVENT}gallery_item_deleted`]: () => body.actionEvent.body.itemId
  };
  // Deletions of galleries need no more, and types that a later version may add are not for this program.
  console.log(`${galleryId}  #${sequence}  ${type.slice(EVENT.length)}  ${names[type]?.() ?? ''}`);
}

const consumer = new Consumer({
  clientId: 'shop',
  groupId: 'shop-javascript',
  bootstrapBrokers,
  deserializers: { headerKey: String }
});
consumer.on('consumer:group:join', ({ assignments }) => {
  // Another member of the group handles what follows on a partition that was taken away. It is no gap if it comes back.
  const own = new Set(assignments?.flatMap(({ partitions }) => partitions));
  for (const [galleryId, { partition }] of handled) if (!own.has(partition)) handled.delete(galleryId);
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => consumer.close(true));

const records = await consumer.consume({
  topics: [topic],
  mode: 'committed',
  fallbackMode: 'earliest',
  isolationLevel: FetchIsolationLevels.READ_COMMITTED,
  autocommit: false
});
for await (const record of records) {
  const event = read(record);
  if (event && isNew(event.galleryId, event.sequence, record.partition)) handle(event);
  await record.commit(); // afterwards: if the process dies in between, the event comes again
}
