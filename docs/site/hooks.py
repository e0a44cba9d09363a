"""Makes MkDocs build the site from the files of the repository: what `mkdocs.yml` cannot say.

MkDocs calls the functions by their names. Each is called once in a build, except `on_post_page`.
"""

import json
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from docs.site.content import ROOT, expanded, files
from docs.site.references import asyncapi_page, openapi_page
from triptych.contract.publishing.publish import ASYNCAPI, PUBLISHED
from triptych.contract.topics import Topics
from triptych.gateway.api.dependencies import GatewayState
from triptych.gateway.app import make_app
from triptych.gateway.settings import GatewaySettings
from triptych.kit.process.health import Health

MERMAID = Path(sys.prefix, "share", "triptych-docs", "mermaid.min.js")
"""`make docs` puts it there. The theme would load it from another host."""
SCRIPT = "assets/javascripts/mermaid.min.js"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace the patterns in the menu by pages."""
    config.nav = expanded(config.nav or (), files())
    return config


def on_files(found: Files, config: MkDocsConfig) -> Files:
    """Replace what MkDocs found in docs/ by the files of the site, under their paths in the repository."""
    for file in [one for one in found if one.abs_src_path and Path(one.abs_src_path).is_relative_to(ROOT / "docs")]:
        found.remove(file)
    for name in files():
        found.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for name, content in _references().items():
        found.append(File.generated(config, name, content=content))
    found.append(File.generated(config, SCRIPT, abs_src_path=str(MERMAID)))
    return found


def on_post_page(output: str, page: Page, **_named: object) -> str:
    """Load mermaid from the site on the pages that have a drawing. Its 3 MB are not for the other pages."""
    if 'class="mermaid"' not in output:
        return output
    script = f'<script src="{get_relative_url(SCRIPT, page.url)}"></script>'
    return output.replace("</head>", f"{script}</head>", 1)


@cache
def _references() -> dict[str, str]:
    """The references that are made from the code, by their path in the site."""
    state = cast("GatewayState", SimpleNamespace(settings=GatewaySettings()))
    http: dict[str, Any] = make_app(state, Health(), Topics("triptych.")).openapi()
    topics = json.loads((PUBLISHED / ASYNCAPI).read_bytes())
    return {
        "reference/openapi.json": json.dumps(http, indent=2, ensure_ascii=False),
        "reference/http-operations.md": openapi_page(http, "openapi.json"),
        "reference/topics.md": asyncapi_page(topics, "../schemas/published/asyncapi.json"),
    }
