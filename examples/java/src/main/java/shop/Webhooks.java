package shop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Receives webhooks: verifies each delivery, answers, and handles each event once. */
public final class Webhooks {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int BODY_MAX = 1024 * 1024;
    private static final long TOLERANCE_SECONDS = 300;
    private static final int REMEMBERED = 10_000;

    /** While the secret of the listener is rotated, there are two. */
    private final List<SecretKeySpec> keys;

    /** Ids of events that have been handled. In your service, a table with a unique key, in the transaction of the effect. */
    private final Set<String> handled = Collections.newSetFromMap(new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Boolean> eldest) {
            return size() > REMEMBERED;
        }
    });

    Webhooks(String secrets) {
        keys = Arrays.stream(secrets.split(" "))
                .map(secret -> new SecretKeySpec(Base64.getDecoder().decode(secret.replaceFirst("^whsec_", "")), "HmacSHA256"))
                .toList();
    }

    /** Throws unless one of the keys has signed the delivery. Any library of Standard Webhooks does the same. */
    private void verify(Headers headers, byte[] body) throws GeneralSecurityException {
        String timestamp = headers.getFirst("webhook-timestamp");
        if (timestamp == null || !timestamp.matches("\\d{1,12}")
                || Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) > TOLERANCE_SECONDS) {
            throw new GeneralSecurityException("the timestamp is missing, too old or too new");
        }
        byte[] start = (headers.getFirst("webhook-id") + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8);
        String signatures = headers.getFirst("webhook-signature");
        for (SecretKeySpec key : keys) {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(key);
            mac.update(start);
            byte[] expected = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes(StandardCharsets.UTF_8);
            for (String given : signatures == null ? new String[0] : signatures.split(" ")) {
                if (MessageDigest.isEqual(given.getBytes(StandardCharsets.UTF_8), expected)) {
                    return;
                }
            }
        }
        throw new GeneralSecurityException("the signature is wrong");
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            byte[] body = exchange.getRequestBody().readNBytes(BODY_MAX + 1);
            int status = 204;
            try {
                if (body.length > BODY_MAX) {
                    throw new IOException("the body is too large");
                }
                verify(exchange.getRequestHeaders(), body);
                // Answer within the listener's timeout. If handling takes longer, store the event first, handle it afterwards.
                handle(JSON.readTree(body));
            } catch (GeneralSecurityException | IOException e) {
                System.err.println("refused: " + e.getMessage());
                status = 400; // the relay tries again later
            }
            exchange.sendResponseHeaders(status, -1);
        }
    }

    /** Your code. Events may come in any order: {@code entityEventSequence} says which of two is newer. */
    private synchronized void handle(JsonNode delivery) {
        JsonNode event = delivery.path("data");
        if (handled.add(event.path("id").asText())) {
            System.out.printf("%s  #%s  %s%n", event.path("entityId").asText(), event.path("entityEventSequence").asText(),
                    delivery.path("type").asText());
        }
    }

    public static void main(String[] args) throws IOException {
        String secrets = System.getenv().getOrDefault("WEBHOOK_SECRET", "");
        if (secrets.isBlank()) {
            System.err.println("set WEBHOOK_SECRET to the secret of the listener, whsec_…");
            System.exit(1);
        }
        String[] listen = System.getenv().getOrDefault("LISTEN", "127.0.0.1:9000").split(":");
        HttpServer server = HttpServer.create(new InetSocketAddress(listen[0], Integer.parseInt(listen[1])), 0);
        server.createContext("/", new Webhooks(secrets.strip())::answer);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.start();
    }
}
