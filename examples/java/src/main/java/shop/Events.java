package shop;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Handles each event of the galleries once, in order, and reports events that are missing. */
public final class Events {
    private static final String EVENT = "wix.pro_gallery.gallery_v2_";
    private static final ObjectMapper JSON = new ObjectMapper();

    /** What has been handled of a gallery: the highest sequence, and the ranges below it that are missing. */
    private static final class Handled {
        long last;
        int partition;
        final List<long[]> missing = new ArrayList<>();
    }

    /**
     * In memory here, so events that come again after a restart are handled again. In your service, store it in the
     * transaction that stores the effect of the event.
     */
    private final Map<String, Handled> handled = new HashMap<>();

    /** Whether an event is to be handled. The first one of a gallery is, whatever its number: earlier ones may have expired. */
    boolean isNew(String galleryId, long sequence, int partition) {
        Handled known = handled.get(galleryId);
        if (known == null || sequence > known.last) {
            if (known == null) {
                handled.put(galleryId, known = new Handled());
            } else if (sequence > known.last + 1) {
                // They are lost, or late: after partitions were added, they may still come from the former partition.
                System.err.printf("%s  #%d to #%d are missing%n", galleryId, known.last + 1, sequence - 1);
                known.missing.add(new long[] {known.last + 1, sequence - 1});
                if (known.missing.size() > 16) {
                    known.missing.remove(0);
                }
            }
            known.last = sequence;
            known.partition = partition;
            return true;
        }
        for (long[] range : known.missing) {
            if (range[0] <= sequence && sequence <= range[1]) {
                known.missing.remove(range);
                known.missing.add(new long[] {range[0], sequence - 1});
                known.missing.add(new long[] {sequence + 1, range[1]});
                known.missing.removeIf(rest -> rest[0] > rest[1]);
                return true;
            }
        }
        return false; // a repeat
    }

    /** Your code. */
    private static void handle(String type, String galleryId, long sequence, JsonNode event) {
        String name = switch (type) {
            case "created" -> event.at("/createdEvent/entity/name").asText();
            case "updated" -> event.at("/updatedEvent/currentEntity/name").asText();
            case "gallery_item_created" -> event.at("/actionEvent/body/item/title").asText();
            case "gallery_item_updated" -> event.at("/actionEvent/body/updatedItem/title").asText();
            case "gallery_item_deleted" -> event.at("/actionEvent/body/itemId").asText();
            default -> ""; // the deletion of a gallery, or a type that a later version has added
        };
        System.out.printf("%s  #%d  %s  %s%n", galleryId, sequence, type, name);
    }

    private void take(ConsumerRecord<byte[], byte[]> record) {
        String type = attribute(record, "ce_type");
        String sequence = attribute(record, "ce_sequence");
        if (!type.startsWith(EVENT) || !sequence.matches("\\d{1,18}")) {
            return; // a record of a snapshot, which has no sequence
        }
        JsonNode event;
        try {
            event = JSON.readTree(record.value() == null ? new byte[0] : record.value());
        } catch (java.io.IOException e) {
            System.err.printf("%s-%d@%d is skipped: not JSON%n", record.topic(), record.partition(), record.offset());
            return;
        }
        String galleryId = attribute(record, "ce_subject");
        if (isNew(galleryId, Long.parseLong(sequence), record.partition())) {
            handle(type.substring(EVENT.length()), galleryId, Long.parseLong(sequence), event);
        }
    }

    private static String attribute(ConsumerRecord<?, ?> record, String name) {
        var header = record.headers().lastHeader(name);
        return header == null || header.value() == null ? "" : new String(header.value(), StandardCharsets.UTF_8);
    }

    private final class Rebalances implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> lost) {
            // Another member of the group handles what follows. It is no gap if a partition comes back.
            handled.values().removeIf(known -> lost.stream().anyMatch(partition -> partition.partition() == known.partition));
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}
    }

    public static void main(String[] args) throws InterruptedException {
        Map<String, String> env = System.getenv();
        var events = new Events();
        var consumer = new KafkaConsumer<>(
                Map.<String, Object>of(
                        "bootstrap.servers", env.getOrDefault("TRIPTYCH_KAFKA_BOOTSTRAP", "127.0.0.1:9092"),
                        "group.id", "shop-java",
                        "auto.offset.reset", "earliest",
                        "isolation.level", "read_committed",
                        "enable.auto.commit", false,
                        // Partitions that stay are not revoked when another member comes.
                        "partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"),
                new ByteArrayDeserializer(), new ByteArrayDeserializer());
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException e) {
                main.interrupt();
            }
        }));
        try (consumer) {
            consumer.subscribe(List.of(env.getOrDefault("TRIPTYCH_TOPIC_PREFIX", "triptych.") + "events"), events.new Rebalances());
            while (true) {
                var records = consumer.poll(Duration.ofSeconds(1));
                records.forEach(events::take);
                if (!records.isEmpty()) {
                    consumer.commitSync(); // afterwards: if the process dies in between, the events come again
                }
            }
        } catch (WakeupException stopped) {
            // Ctrl-C or SIGTERM
        }
    }
}
