"""Writes the code of docs/listeners.md that verifies deliveries, for the console, as TypeScript.

`python -m tests.support.snippets_file FILE`
"""

import json
import sys
from pathlib import Path

from tests.support.listeners_page import FUNCTIONS, LANGUAGES, code_of

if __name__ == "__main__":
    found = {dialect: {name: code_of(name, dialect) for name in LANGUAGES} for dialect in FUNCTIONS}
    Path(sys.argv[1]).write_text(
        "// Written by `make console` from docs/listeners.md.\n"
        f"export const snippets: Record<string, Record<string, string>> = {json.dumps(found, indent=2)};\n"
    )
