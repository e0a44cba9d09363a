package shop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Sends commands, and waits for the reply to each of them. Any thread may call {@link #send}. */
public final class Commands implements AutoCloseable {
    private static final Duration FIRST_RETRY = Duration.ofSeconds(5);
    private static final Duration DEADLINE = Duration.ofMinutes(1);
    private static final ObjectMapper JSON = new ObjectMapper();

    private final String prefix;
    // The defaults of this client suit commands. The partition is murmur2 of the key, so a command reaches its gallery's
    // partition directly. The producer is idempotent, so Kafka keeps the order if it has to try again.
    private final KafkaProducer<String, String> producer;
    private final KafkaConsumer<String, String> consumer;
    private final Map<String, CompletableFuture<JsonNode>> waiting = new ConcurrentHashMap<>();
    private final Thread reading = new Thread(this::read, "replies");

    /** Reads replies from the present end of their topic, before any command is sent: none can be missed. */
    public Commands(String bootstrap, String prefix) {
        this.prefix = prefix;
        producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap), new StringSerializer(), new StringSerializer());
        consumer = new KafkaConsumer<>(
                Map.of("bootstrap.servers", bootstrap, "enable.auto.commit", false),
                new StringDeserializer(), new StringDeserializer());
        List<TopicPartition> partitions = consumer.partitionsFor(prefix + "replies").stream()
                .map(partition -> new TopicPartition(partition.topic(), partition.partition()))
                .toList();
        consumer.assign(partitions);
        consumer.seekToEnd(partitions);
        partitions.forEach(consumer::position); // seekToEnd alone would look up the end at the first poll
        reading.start();
    }

    private void read() {
        try (consumer) {
            while (true) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    // The topic has the replies to all senders. The key of a reply is the correlation id of its command.
                    CompletableFuture<JsonNode> answered = record.key() == null ? null : waiting.remove(record.key());
                    if (answered != null) {
                        answered.complete(JSON.readTree(record.value()));
                    }
                }
            }
        } catch (WakeupException closed) {
            return;
        } catch (IOException e) {
            throw new IllegalStateException("not a reply", e);
        }
    }

    /** The reply to a command. The same id sent again has no second effect, and gets the first reply. */
    public JsonNode send(String name, String galleryId, String id, Map<String, ?> data)
            throws IOException, InterruptedException, ExecutionException, TimeoutException {
        String correlationId = UUID.randomUUID().toString();
        String command = JSON.writeValueAsString(Map.of(
                "specversion", "1.0", "id", id, "type", "triptych.command.v1." + name, "source", "shop",
                "correlationid", correlationId, "data", data));
        var answered = new CompletableFuture<JsonNode>();
        waiting.put(correlationId, answered);
        try {
            Instant ends = Instant.now().plus(DEADLINE);
            for (Duration pause = FIRST_RETRY; Instant.now().isBefore(ends); pause = pause.multipliedBy(2)) {
                producer.send(new ProducerRecord<>(prefix + "commands", galleryId, command)).get();
                try {
                    return answered.get(pause.toMillis(), TimeUnit.MILLISECONDS);
                } catch (TimeoutException sendAgain) {
                    continue;
                }
            }
        } finally {
            waiting.remove(correlationId);
        }
        throw new TimeoutException("no reply to " + id + ": it may still be carried out; ask with the same id");
    }

    @Override
    public void close() throws InterruptedException {
        consumer.wakeup();
        reading.join();
        producer.close();
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> env = System.getenv();
        String bootstrap = env.getOrDefault("TRIPTYCH_KAFKA_BOOTSTRAP", "127.0.0.1:9092");
        try (var commands = new Commands(bootstrap, env.getOrDefault("TRIPTYCH_TOPIC_PREFIX", "triptych."))) {
            String id = UUID.randomUUID().toString();
            var items = List.of(
                    Map.of("title", "One", "text", Map.of("html", "<p>1</p>")),
                    Map.of("title", "Two", "text", Map.of("html", "<p>2</p>")));
            var data = Map.of("galleryId", id, "gallery", Map.of("name", "From Java", "items", items));
            JsonNode created = commands.send("CreateGallery", id, "create-" + id, data);
            System.out.printf("%s gallery %s sequence %d items %d%n", created.get("outcome").asText(),
                    created.get("galleryId").asText(), created.get("sequence").asLong(), created.get("itemIds").size());

            // As if the reply had been lost: the same id and data.
            JsonNode again = commands.send("CreateGallery", id, "create-" + id, data);
            System.out.printf("again %s sequence %d same items %b%n", again.get("outcome").asText(),
                    again.get("sequence").asLong(), again.get("itemIds").equals(created.get("itemIds")));

            String itemId = created.get("itemIds").get(0).asText();
            var image = Map.of("imageInfo", Map.of("url", "https://static.example/one.jpg"), "quality", 7);
            JsonNode refused = commands.send("UpdateItem", id, UUID.randomUUID().toString(),
                    Map.of("galleryId", id, "itemId", itemId, "item", Map.of("image", image)));
            for (JsonNode violation : refused.at("/error/violations")) {
                System.out.printf("%s %s %s %s%n", refused.get("outcome").asText(), refused.at("/error/code").asText(),
                        violation.get("field").asText(), violation.get("description").asText());
            }
        }
    }
}
