// Verifies the webhooks on standard input with the library of Standard Webhooks, and prints what it said, as JSON.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

type delivery struct {
	Name    string            `json:"name"`
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func verify(one delivery) error {
	headers := http.Header{}
	for name, text := range one.Headers {
		headers.Set(name, text)
	}
	webhook, err := webhooks.NewWebhook(one.Secret)
	if err != nil {
		return err
	}
	return webhook.Verify([]byte(one.Body), headers)
}

func main() {
	var cases struct {
		Webhooks []delivery `json:"webhooks"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		log.Fatal(err)
	}
	found := map[string]map[string]any{}
	for _, one := range cases.Webhooks {
		if err := verify(one); err != nil {
			found[one.Name] = map[string]any{"refused": err.Error()}
		} else {
			found[one.Name] = map[string]any{"verified": true}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"webhooks": found}); err != nil {
		log.Fatal(err)
	}
}
