// Command webhooks receives webhooks: it verifies each delivery, answers, and handles each event once.
package main

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	bodyMax    = 1 << 20
	tolerance  = 300 * time.Second
	remembered = 10_000
)

type delivery struct {
	Type string
	Data struct{ ID, EntityID, EntityEventSequence string }
}

// receiver handles the deliveries of one listener. While its secret is rotated, there are two keys.
type receiver struct {
	keys [][]byte

	mutex sync.Mutex
	// Ids of events that have been handled. In your service, a table with a unique key, in the transaction of the effect.
	handled map[string]bool
	order   []string
}

// verify returns an error unless one of the keys has signed the delivery. Any library of Standard Webhooks does the same.
func (r *receiver) verify(header http.Header, body []byte) error {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return errors.New("the timestamp is missing, too old or too new")
	}
	for _, key := range r.keys {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
		expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for _, given := range strings.Fields(header.Get("webhook-signature")) {
			if hmac.Equal([]byte(given), []byte(expected)) {
				return nil
			}
		}
	}
	return errors.New("the signature is wrong")
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, bodyMax))
	if err == nil {
		err = r.verify(request.Header, body)
	}
	var d delivery
	if err == nil {
		err = json.Unmarshal(body, &d)
	}
	if err != nil {
		log.Print("refused: ", err)
		w.WriteHeader(http.StatusBadRequest) // the relay tries again later
		return
	}
	// Answer within the listener's timeout. If handling takes longer, store the event first and handle it afterwards.
	r.handle(d)
	w.WriteHeader(http.StatusNoContent)
}

// handle is your code. Events may come in any order: the sequence says which of two is newer.
func (r *receiver) handle(d delivery) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.handled[d.Data.ID] {
		return
	}
	fmt.Printf("%s  #%s  %s\n", d.Data.EntityID, d.Data.EntityEventSequence, d.Type)
	r.handled[d.Data.ID] = true
	if r.order = append(r.order, d.Data.ID); len(r.order) > remembered {
		delete(r.handled, r.order[0])
		r.order = r.order[1:]
	}
}

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := &receiver{handled: map[string]bool{}}
	for _, secret := range strings.Fields(os.Getenv("WEBHOOK_SECRET")) {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			log.Fatal("WEBHOOK_SECRET is not a secret of a listener: ", err)
		}
		r.keys = append(r.keys, key)
	}
	if len(r.keys) == 0 {
		log.Fatal("set WEBHOOK_SECRET to the secret of the listener, whsec_…")
	}
	server := &http.Server{
		Addr: cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:9000"), Handler: r, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute,
	}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
