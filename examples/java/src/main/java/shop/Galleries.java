package shop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Keeps all galleries with all their items, each in the state after one of its events. */
public final class Galleries {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** A gallery. The numbers are those of the rules in docs/consumers.md. A change costs the same however many items there are. */
    static final class Gallery {
        JsonNode head; // the latest head record
        JsonNode shown; // the head record of the state that is shown
        final Map<String, JsonNode> items = new HashMap<>(); // the item records of the state that is shown
        private final Map<String, JsonNode> changes = new HashMap<>(); // since then; null for a removed item
        private int count; // of the items with the changes
        private final Set<String> ahead = new HashSet<>(); // items with a higher sequence than the head
        boolean isDeleted;

        /** Takes a head record, if there is no item id, or an item record; null is a tombstone. Returns whether the state is new. */
        boolean feed(String itemId, JsonNode record) {
            if (itemId == null) {
                if (sequence(record) < sequence(head)) {
                    return false; // 1
                }
                head = record;
                ahead.removeIf(id -> sequence(changes.get(id)) <= sequence(head));
            } else {
                boolean isChanged = changes.containsKey(itemId);
                JsonNode before = isChanged ? changes.get(itemId) : items.get(itemId);
                if (record != null) {
                    if (isChanged && before == null // 2: it was removed
                            || before != null && sequence(record) < sequence(before) // 1
                            || before == null && sequence(record) <= sequence(shown)) { // 4
                        return false;
                    }
                }
                changes.put(itemId, record);
                count += (record != null ? 1 : 0) - (before != null ? 1 : 0);
                ahead.remove(itemId);
                if (record != null && sequence(record) > sequence(head)) {
                    ahead.add(itemId);
                }
            }
            return head != null && count == head.get("totalItems").asInt() && ahead.isEmpty() && show(); // 3
        }

        private boolean show() {
            boolean isHigher = sequence(head) > sequence(shown);
            changes.forEach((id, record) -> {
                if (record != null) {
                    items.put(id, record);
                } else {
                    items.remove(id);
                }
            });
            changes.values().removeIf(record -> record != null || isHigher); // 2: otherwise an item stays removed
            shown = head;
            return isHigher;
        }

        private static long sequence(JsonNode record) {
            return record == null ? 0 : record.required("sequence").asLong(); // the first event has the number 1
        }
    }

    private final Map<String, Gallery> galleries = new HashMap<>();

    /** Your code. The gallery has all items; its head record has the first 100 in display order ({@code sortOrder}, descending). */
    private static void changed(String galleryId, Gallery gallery) {
        String titles = StreamSupport.stream(gallery.shown.path("items").spliterator(), false)
                .limit(3)
                .map(item -> item.path("title").asText("(no title)"))
                .collect(Collectors.joining(", "));
        System.out.printf("%s  #%d  %s: %d items: %s%n", galleryId, gallery.shown.get("sequence").asLong(),
                gallery.shown.at("/gallery/name").asText(), gallery.items.size(), titles);
    }

    private void take(ConsumerRecord<String, String> record) {
        try {
            String[] ids = record.key().split("/", 2);
            Gallery gallery = galleries.computeIfAbsent(ids[0], id -> new Gallery());
            if (gallery.isDeleted) {
                return; // 5
            }
            if (ids.length == 1 && record.value() == null) {
                var deleted = new Gallery();
                deleted.isDeleted = true;
                galleries.put(ids[0], deleted); // 5
                System.out.printf("%s  deleted%n", ids[0]);
                return;
            }
            JsonNode value = record.value() == null ? null : JSON.readTree(record.value());
            if (gallery.feed(ids.length == 1 ? null : ids[1], value)) {
                changed(ids[0], gallery);
            }
        } catch (java.io.IOException | RuntimeException e) {
            System.err.printf("%s-%d@%d is skipped: %s%n", record.topic(), record.partition(), record.offset(), e);
        }
    }

    public static void main(String[] args) {
        Map<String, String> env = System.getenv();
        String topic = env.getOrDefault("TRIPTYCH_TOPIC_PREFIX", "triptych.") + "galleries";
        var consumer = new KafkaConsumer<>(
                Map.<String, Object>of(
                        "bootstrap.servers", env.getOrDefault("TRIPTYCH_KAFKA_BOOTSTRAP", "127.0.0.1:9092"),
                        "isolation.level", "read_committed",
                        "enable.auto.commit", false),
                new StringDeserializer(), new StringDeserializer());
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException e) {
                main.interrupt();
            }
        }));
        var galleries = new Galleries();
        try (consumer) {
            // The state is in memory, so each start reads all partitions from the beginning, and needs no group.
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(partition -> new TopicPartition(topic, partition.partition()))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (true) {
                consumer.poll(Duration.ofSeconds(1)).forEach(galleries::take);
            }
        } catch (WakeupException stopped) {
            // Ctrl-C or SIGTERM
        }
    }
}
