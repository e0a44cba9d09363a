"""Programs that call the functions of `docs/listeners.md`."""

from collections.abc import Callable

# The calls of the page's functions. Headers, body and key are in files; the exit status is the result.
CALLS = {
    ("python", "verify"): """
import json, sys
verify(json.load(open("headers.json")), open("body", "rb").read(), open("key").read())
""",
    ("python", "read"): """
print(read(open("body", "rb").read(), open("key").read())["eventType"])
""",
    ("javascript", "verify"): """
import { readFileSync } from 'node:fs';
verify(JSON.parse(readFileSync('headers.json')), readFileSync('body'), readFileSync('key', 'utf8'));
""",
    ("javascript", "read"): """
import { readFileSync } from 'node:fs';
console.log(read(readFileSync('body'), readFileSync('key', 'utf8')).eventType);
""",
    ("go", "Verify"): """
package main

import ("encoding/json"; "os")

func main() {
	headers := map[string]string{}
	raw, _ := os.ReadFile("headers.json")
	body, _ := os.ReadFile("body")
	key, _ := os.ReadFile("key")
	if json.Unmarshal(raw, &headers) != nil || Verify(headers, body, string(key)) != nil {
		os.Exit(1)
	}
}
""",
    ("go", "Read"): """
package main

import ("fmt"; "os")

func main() {
	body, _ := os.ReadFile("body")
	key, _ := os.ReadFile("key")
	event, err := Read(body, string(key))
	if err != nil {
		os.Exit(1)
	}
	fmt.Println(event["eventType"])
}
""",
}

# The names of the page's functions follow the conventions of each language.
NAMES: dict[str, Callable[[str], str]] = {
    "python": str,
    "javascript": lambda name: name.replace("_ed", "Ed"),
    "go": lambda name: name.replace("_ed", "Ed")[:1].upper() + name.replace("_ed", "Ed")[1:],
}
for (language, name), call in list(CALLS.items()):
    if name.lower() == "verify":
        named = NAMES[language]("verify_ed25519")
        CALLS[language, named] = call.replace(f"{name}(", f"{named}(")
