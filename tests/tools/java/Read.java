import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.core.format.EventFormat;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.kafka.KafkaMessageFactory;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;

/** Reads the records on standard input, and writes the commands there, with the SDK of CloudEvents; prints JSON. */
public final class Read {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final EventFormat FORMAT = new JsonFormat();

    private interface Reader {
        JsonNode read(JsonNode one) throws Exception;
    }

    public static void main(String[] arguments) throws IOException {
        JsonNode cases = JSON.readTree(System.in);
        ObjectNode report = JSON.createObjectNode();
        report.set("records", each(cases.get("records"), Read::readRecord));
        report.set("commands", each(cases.get("commands"), Read::writeCommand));
        System.out.write(JSON.writeValueAsBytes(report));
        System.out.flush();
    }

    private static ObjectNode each(JsonNode listed, Reader reader) {
        ObjectNode found = JSON.createObjectNode();
        for (JsonNode one : listed) {
            JsonNode outcome;
            try {
                outcome = reader.read(one);
            } catch (Exception error) {
                outcome = JSON.createObjectNode().put("refused", error.toString());
            }
            found.set(one.get("name").asText(), outcome);
        }
        return found;
    }

    private static JsonNode readRecord(JsonNode one) throws IOException {
        RecordHeaders headers = new RecordHeaders();
        for (Map.Entry<String, JsonNode> header : one.get("headers").properties()) {
            headers.add(header.getKey(), header.getValue().asText().getBytes(StandardCharsets.UTF_8));
        }
        byte[] value = one.get("value").asText().getBytes(StandardCharsets.UTF_8);
        ConsumerRecord<String, byte[]> record = new ConsumerRecord<>(
            "topic", 0, 0L, 0L, TimestampType.CREATE_TIME, 0, value.length, one.get("key").asText(), value, headers,
            java.util.Optional.empty());
        CloudEvent event = KafkaMessageFactory.createReader(record).toEvent();
        ObjectNode attributes = JSON.createObjectNode();
        for (String name : event.getAttributeNames()) {
            attributes.put(name, event.getAttribute(name).toString());
        }
        for (String name : event.getExtensionNames()) {
            attributes.put(name, event.getExtension(name).toString());
        }
        ObjectNode read = JSON.createObjectNode();
        read.set("attributes", attributes);
        read.set("data", JSON.readTree(event.getData().toBytes()));
        return read;
    }

    private static JsonNode writeCommand(JsonNode one) throws IOException {
        JsonNode attributes = one.get("attributes");
        CloudEventBuilder builder = CloudEventBuilder.v1()
            .withId(attributes.get("id").asText())
            .withType(attributes.get("type").asText())
            .withSource(URI.create(attributes.get("source").asText()))
            .withData("application/json", JSON.writeValueAsBytes(one.get("data")));
        for (String name : new String[] {"siteid", "correlationid", "replyto"}) {
            builder.withExtension(name, attributes.get(name).asText());
        }
        CloudEvent event = builder.build();
        ArrayNode written = JSON.createArrayNode();
        written.add(asJson("binary", KafkaMessageFactory.createWriter("topic").writeBinary(event)));
        written.add(asJson("structured", KafkaMessageFactory.createWriter("topic").writeStructured(event, FORMAT)));
        return written;
    }

    private static JsonNode asJson(String mode, ProducerRecord<?, byte[]> record) {
        ObjectNode written = JSON.createObjectNode().put("mode", mode);
        ArrayNode headers = written.putArray("headers");
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(new String(header.value(), StandardCharsets.UTF_8));
        }
        return written.put("value", new String(record.value(), StandardCharsets.UTF_8));
    }
}
