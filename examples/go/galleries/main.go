// Command galleries keeps all galleries with all their items, each in the state after one of its events.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
)

// record is a head record or an item record of the topic, as far as this program needs it.
type record struct {
	Sequence   int64
	TotalItems int
	Gallery    struct{ Name string }
	Items      []json.RawMessage // of a head record: the first 100 in display order (sortOrder, descending)
	Item       json.RawMessage
}

// gallery is a gallery. The numbers below are those of the rules in docs/consumers.md. A change costs the same however
// many items there are.
type gallery struct {
	head, shown *record            // the latest head record, and that of the state that is shown
	items       map[string]*record // of the state that is shown
	changes     map[string]*record // since then; nil for a removed item
	count       int                // of the items with the changes
	ahead       map[string]bool    // items with a higher sequence than the head
	isDeleted   bool
}

// feed takes a record of the gallery itself (without itemID) or of an item; nil is a tombstone. It returns whether the
// gallery is shown in a new state.
func (g *gallery) feed(itemID string, r *record) bool {
	if itemID == "" {
		if g.head != nil && r.Sequence < g.head.Sequence {
			return false // 1
		}
		g.head = r
		for id := range g.ahead {
			if g.changes[id].Sequence <= r.Sequence {
				delete(g.ahead, id)
			}
		}
	} else {
		before, isChanged := g.changes[itemID]
		if !isChanged {
			before = g.items[itemID]
		}
		if r != nil {
			switch {
			case isChanged && before == nil: // 2: it was removed
				return false
			case before != nil && r.Sequence < before.Sequence: // 1
				return false
			case before == nil && g.shown != nil && r.Sequence <= g.shown.Sequence: // 4
				return false
			}
			g.count++
		}
		if before != nil {
			g.count--
		}
		g.changes[itemID] = r
		delete(g.ahead, itemID)
		if r != nil && (g.head == nil || r.Sequence > g.head.Sequence) {
			g.ahead[itemID] = true
		}
	}
	return g.head != nil && g.count == g.head.TotalItems && len(g.ahead) == 0 && g.show() // 3
}

func (g *gallery) show() bool {
	isHigher := g.shown == nil || g.head.Sequence > g.shown.Sequence
	for id, r := range g.changes {
		if r != nil {
			g.items[id] = r
		} else {
			delete(g.items, id)
		}
		if r != nil || isHigher { // 2: otherwise it stays removed
			delete(g.changes, id)
		}
	}
	g.shown = g.head
	return isHigher
}

// changed is your code. g.items has all items.
func changed(galleryID string, g *gallery) {
	var titles []string
	for _, item := range g.shown.Items[:min(3, len(g.shown.Items))] {
		var shown struct{ Title string }
		_ = json.Unmarshal(item, &shown)
		titles = append(titles, cmp.Or(shown.Title, "(no title)"))
	}
	fmt.Printf("%s  #%d  %s: %d items: %s\n", galleryID, g.shown.Sequence, g.shown.Gallery.Name, len(g.items), strings.Join(titles, ", "))
}

type galleries map[string]*gallery

func (all galleries) feed(key string, value []byte) error {
	galleryID, itemID, _ := strings.Cut(key, "/")
	g, ok := all[galleryID]
	if !ok {
		g = &gallery{items: map[string]*record{}, changes: map[string]*record{}, ahead: map[string]bool{}}
		all[galleryID] = g
	}
	if g.isDeleted {
		return nil // 5
	}
	if value == nil && itemID == "" {
		all[galleryID] = &gallery{isDeleted: true} // 5
		fmt.Printf("%s  deleted\n", galleryID)
		return nil
	}
	var r *record
	if value != nil {
		if err := json.Unmarshal(value, &r); err != nil || r == nil {
			return fmt.Errorf("not a record of the joined topic: %q", value[:min(50, len(value))])
		}
	}
	if g.feed(itemID, r) {
		changed(galleryID, g)
	}
	return nil
}

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The state is in memory, so each start reads from the beginning, and needs no group.
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(cmp.Or(os.Getenv("TRIPTYCH_KAFKA_BOOTSTRAP"), "127.0.0.1:9092"), ",")...),
		kgo.ConsumeTopics(cmp.Or(os.Getenv("TRIPTYCH_TOPIC_PREFIX"), "triptych.")+"galleries"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	all := galleries{}
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) { log.Printf("%s-%d: %v", topic, partition, err) })
		fetches.EachRecord(func(r *kgo.Record) {
			if err := all.feed(string(r.Key), r.Value); err != nil {
				log.Printf("%s-%d@%d is skipped: %v", r.Topic, r.Partition, r.Offset, err)
			}
		})
	}
}
