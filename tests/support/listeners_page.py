"""The code of `docs/listeners.md` that verifies deliveries, and programs that call it."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "listeners.md"

FUNCTIONS = {
    "standard-hmac": {
        "python": "verify",
        "javascript": "verify",
        "java": "verify",
        "go": "Verify",
        "bash": "verify",
    },
    "standard-ed25519": {
        "python": "verify_ed25519",
        "javascript": "verifyEd25519",
        "java": "verifyEd25519",
        "go": "VerifyEd25519",
        "bash": "verify_ed25519",
    },
    "wix-jwt": {
        "python": "read",
        "javascript": "read",
        "java": "read",
        "go": "Read",
        "bash": "read_token",
    },
}
"""The page's function for each format and language."""

LANGUAGES = tuple(FUNCTIONS["standard-hmac"])

# Headers, body and key are in files. The exit status is the result.
_PYTHON = """
import json
headers, body, key = json.load(open("headers.json")), open("body", "rb").read(), open("key").read()
"""
_JAVASCRIPT = """
import { readFileSync } from 'node:fs';
const headers = JSON.parse(readFileSync('headers.json')), body = readFileSync('body');
const key = readFileSync('key', 'utf8');
"""
_JAVA = """
class Main {
  public static void main(String[] arguments) throws Exception {
    var headers = new java.util.HashMap<String, String>();
    for (String line : java.nio.file.Files.readAllLines(java.nio.file.Path.of("headers")))
      headers.put(line.split(": ", 2)[0], line.split(": ", 2)[1]);
    byte[] body = java.nio.file.Files.readAllBytes(java.nio.file.Path.of("body"));
    String key = java.nio.file.Files.readString(java.nio.file.Path.of("key"));
    %s
  }
}
"""
_GO = """
package main

import ("encoding/json"; "os")

func main() {
	headers := map[string]string{}
	raw, _ := os.ReadFile("headers.json")
	body, _ := os.ReadFile("body")
	key, _ := os.ReadFile("key")
	if json.Unmarshal(raw, &headers) != nil {
		os.Exit(1)
	}
	%s
}
"""
_BASH = """
field() { sed -n "s/^webhook-$1: //p" headers; }
"""


def is_code_of(text: str, language: str) -> bool:
    """Whether a block of the page in this language is one of the functions."""
    names = "|".join(of_language[language] for of_language in FUNCTIONS.values())
    return re.search(_defined(names), text, re.MULTILINE) is not None


def code_of(language: str, dialect: str) -> str:
    """The page's function for a format, with its imports."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    defined = re.compile(_defined(FUNCTIONS[dialect][language]), re.MULTILINE)
    (block,) = (block for block in blocks if defined.search(block))
    return str(block)


def _defined(names: str) -> str:
    return rf"(?:\b(?:def|function|func|static \w+) |^)(?:{names})\("


def call_of(language: str, dialect: str) -> str:
    """A program that calls the function for a format, without the function."""
    name, is_token = FUNCTIONS[dialect][language], dialect == "wix-jwt"
    if language == "python":
        return _PYTHON + ('read(body, key)["eventType"]' if is_token else f"{name}(headers, body, key)")
    if language == "javascript":
        return _JAVASCRIPT + (
            "if (!read(body, key).eventType) throw new Error();" if is_token else f"{name}(headers, body, key);"
        )
    if language == "java":
        call = 'if (!Tokens.read(body, key).contains("eventType")) throw new Exception();'
        owner = {"standard-hmac": "Deliveries", "standard-ed25519": "SignedDeliveries"}.get(dialect)
        return _JAVA % (call if is_token else f"{owner}.{name}(headers, body, key);")
    if language == "go":
        call = f'event, err := {name}(body, string(key))\n\tif err != nil || event["eventType"] == nil {{'
        if not is_token:
            call = f"if {name}(headers, body, string(key)) != nil {{"
        return _GO % (call + "\n\t\tos.Exit(1)\n\t}")
    if is_token:
        return f"{name} body key"
    return _BASH + f'{name} "$(field id)" "$(field timestamp)" "$(field signature)" body "$(cat key)"'
