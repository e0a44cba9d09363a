// Command commands sends commands, and waits for the reply to each of them.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	firstRetry = 5 * time.Second
	deadline   = time.Minute
)

type object = map[string]any

type reply struct {
	Outcome   string
	GalleryID string
	Sequence  int64
	ItemIDs   []string
	Error     struct {
		Code       string
		Violations []struct{ Field, Description string }
	}
}

// commands sends commands. send may be called several times at once.
type commands struct {
	producer, consumer *kgo.Client
	topic              string
	waiting            sync.Map // correlation id -> chan reply
}

// open reads replies from the present end of their topic, before any command is sent: none can be missed.
func open(ctx context.Context, bootstrap, prefix string) (*commands, error) {
	brokers := kgo.SeedBrokers(strings.Split(bootstrap, ",")...)
	// The defaults of franz-go suit commands. The partition is murmur2 of the key as in Java, so a command reaches its
	// gallery's partition directly. The producer is idempotent, so Kafka keeps the order if it has to try again.
	producer, err := kgo.NewClient(brokers)
	if err != nil {
		return nil, err
	}
	ends, err := kadm.NewClient(producer).ListEndOffsets(ctx, prefix+"replies")
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("replies cannot be read: %w", err)
	}
	consumer, err := kgo.NewClient(brokers, kgo.ConsumePartitions(ends.KOffsets()))
	if err != nil {
		return nil, err
	}
	c := &commands{producer: producer, consumer: consumer, topic: prefix + "commands"}
	go c.read(ctx)
	return c, nil
}

func (c *commands) read(ctx context.Context) {
	for {
		fetches := c.consumer.PollFetches(ctx)
		if fetches.IsClientClosed() || ctx.Err() != nil {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) { log.Printf("%s-%d: %v", topic, partition, err) })
		// The topic has the replies to all senders. The key of a reply is the correlation id of its command.
		fetches.EachRecord(func(record *kgo.Record) {
			answered, ok := c.waiting.LoadAndDelete(string(record.Key))
			var r reply
			if ok && json.Unmarshal(record.Value, &r) == nil {
				answered.(chan reply) <- r
			}
		})
	}
}

// send returns the reply to a command. The same id sent again has no second effect, and gets the first reply.
func (c *commands) send(ctx context.Context, name, galleryID, id string, data object) (reply, error) {
	correlationID := newID()
	command, err := json.Marshal(object{
		"specversion": "1.0", "id": id, "type": "triptych.command.v1." + name, "source": "shop",
		"correlationid": correlationID, "data": data,
	})
	if err != nil {
		return reply{}, err
	}
	answered := make(chan reply, 1)
	c.waiting.Store(correlationID, answered)
	defer c.waiting.Delete(correlationID)
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	for pause := firstRetry; ; pause *= 2 {
		record := &kgo.Record{Topic: c.topic, Key: []byte(galleryID), Value: command}
		if err := c.producer.ProduceSync(ctx, record).FirstErr(); err != nil {
			return reply{}, err
		}
		select {
		case r := <-answered:
			return r, nil
		case <-time.After(pause):
		case <-ctx.Done():
			return reply{}, fmt.Errorf("no reply to %s: it may still be carried out; ask with the same id", id)
		}
	}
}

func (c *commands) close() {
	c.consumer.Close()
	c.producer.Close()
}

func main() {
	log.SetFlags(0)
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	c, err := open(ctx, setting("TRIPTYCH_KAFKA_BOOTSTRAP", "127.0.0.1:9092"), setting("TRIPTYCH_TOPIC_PREFIX", "triptych."))
	if err != nil {
		return err
	}
	defer c.close()

	id := newID()
	items := []object{{"title": "One", "text": object{"html": "<p>1</p>"}}, {"title": "Two", "text": object{"html": "<p>2</p>"}}}
	data := object{"galleryId": id, "gallery": object{"name": "From Go", "items": items}}
	created, err := c.send(ctx, "CreateGallery", id, "create-"+id, data)
	if err != nil {
		return err
	}
	fmt.Println(created.Outcome, "gallery", created.GalleryID, "sequence", created.Sequence, "items", len(created.ItemIDs))

	// As if the reply had been lost: the same id and data.
	again, err := c.send(ctx, "CreateGallery", id, "create-"+id, data)
	if err != nil {
		return err
	}
	fmt.Println("again", again.Outcome, "sequence", again.Sequence, "same items", slices.Equal(again.ItemIDs, created.ItemIDs))

	image := object{"imageInfo": object{"url": "https://static.example/one.jpg"}, "quality": 7}
	data = object{"galleryId": id, "itemId": created.ItemIDs[0], "item": object{"image": image}}
	refused, err := c.send(ctx, "UpdateItem", id, newID(), data)
	if err != nil {
		return err
	}
	for _, violation := range refused.Error.Violations {
		fmt.Println(refused.Outcome, refused.Error.Code, violation.Field, violation.Description)
	}
	return nil
}

func setting(name, otherwise string) string { return cmp.Or(os.Getenv(name), otherwise) }

// newID is a random GUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
