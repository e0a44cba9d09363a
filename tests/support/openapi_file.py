"""Writes the gateway's OpenAPI document to a file: `python -m tests.support.openapi_file FILE`."""

import json
import sys
from pathlib import Path

from tests.support.documented import of_gateway

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(of_gateway()))
