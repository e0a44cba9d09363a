// Command events handles each event of the galleries once, in order, and reports events that are missing.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
)

const eventPrefix = "wix.pro_gallery.gallery_v2_"

// known is what has been handled of a gallery: the highest sequence, and the ranges below it that are missing.
type known struct {
	last      int64
	missing   [][2]int64
	partition int32
}

// sequences are in memory here, so events that come again after a restart are handled again. In your service, store them
// in the transaction that stores the effect of the event.
type sequences struct {
	sync.Mutex
	galleries map[string]*known
}

// isNew says whether an event is to be handled. The first one of a gallery is, whatever its number: earlier ones may have
// expired.
func (s *sequences) isNew(galleryID string, sequence int64, partition int32) bool {
	s.Lock()
	defer s.Unlock()
	k, ok := s.galleries[galleryID]
	if !ok {
		s.galleries[galleryID] = &known{last: sequence, partition: partition}
		return true
	}
	if sequence > k.last {
		if sequence > k.last+1 {
			// They are lost, or late: after partitions were added, they may still come from the former partition.
			log.Printf("%s  #%d to #%d are missing", galleryID, k.last+1, sequence-1)
			k.missing = append(k.missing, [2]int64{k.last + 1, sequence - 1})
			k.missing = k.missing[max(0, len(k.missing)-16):]
		}
		k.last, k.partition = sequence, partition
		return true
	}
	for i, r := range k.missing {
		if r[0] <= sequence && sequence <= r[1] {
			rest := slices.DeleteFunc([][2]int64{{r[0], sequence - 1}, {sequence + 1, r[1]}}, func(r [2]int64) bool { return r[0] > r[1] })
			k.missing = slices.Replace(k.missing, i, i+1, rest...)
			return true
		}
	}
	return false // a repeat
}

// forget is called when another member of the group handles what follows on these partitions: that is no gap later.
func (s *sequences) forget(partitions []int32) {
	s.Lock()
	defer s.Unlock()
	for id, k := range s.galleries {
		if slices.Contains(partitions, k.partition) {
			delete(s.galleries, id)
		}
	}
}

// handle is your code.
func handle(eventType, galleryID string, sequence int64, value []byte) error {
	type named struct{ Name, Title string }
	var event struct {
		CreatedEvent struct{ Entity named }
		UpdatedEvent struct{ CurrentEntity named }
		ActionEvent  struct {
			Body struct {
				Item, UpdatedItem named
				ItemID            string
			}
		}
	}
	if err := json.Unmarshal(value, &event); err != nil {
		return err
	}
	body := event.ActionEvent.Body
	name := cmp.Or(event.CreatedEvent.Entity.Name, event.UpdatedEvent.CurrentEntity.Name, body.Item.Title, body.UpdatedItem.Title, body.ItemID)
	// A later version may add types, which are not for this program.
	fmt.Printf("%s  #%d  %s  %s\n", galleryID, sequence, strings.TrimPrefix(eventType, eventPrefix), name)
	return nil
}

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	seen := &sequences{galleries: map[string]*known{}}
	lost := func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
		for _, partitions := range lost {
			seen.forget(partitions)
		}
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(cmp.Or(os.Getenv("TRIPTYCH_KAFKA_BOOTSTRAP"), "127.0.0.1:9092"), ",")...),
		kgo.ConsumeTopics(cmp.Or(os.Getenv("TRIPTYCH_TOPIC_PREFIX"), "triptych.")+"events"),
		kgo.ConsumerGroup("shop-go"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), // a partition is taken away between two batches only
		kgo.OnPartitionsRevoked(lost),
		kgo.OnPartitionsLost(lost),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseAllowingRebalance()
	for {
		fetches := client.PollRecords(ctx, 500)
		if ctx.Err() != nil {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) { log.Printf("%s-%d: %v", topic, partition, err) })
		fetches.EachRecord(func(record *kgo.Record) {
			headers := map[string]string{}
			for _, header := range record.Headers {
				headers[header.Key] = string(header.Value)
			}
			sequence, err := strconv.ParseInt(headers["ce_sequence"], 10, 64)
			if err != nil || !strings.HasPrefix(headers["ce_type"], eventPrefix) {
				return // a record of a snapshot, which has no sequence
			}
			galleryID := headers["ce_subject"]
			if !json.Valid(record.Value) {
				log.Printf("%s-%d@%d is skipped: not JSON", record.Topic, record.Partition, record.Offset)
			} else if seen.isNew(galleryID, sequence, record.Partition) {
				if err := handle(headers["ce_type"], galleryID, sequence, record.Value); err != nil {
					log.Fatal(err) // and nothing is committed: the event comes again
				}
			}
		})
		// After the events were handled: if the process dies in between, they come again.
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			log.Print(err)
		}
		client.AllowRebalance()
	}
}
