"""`make helm`: writes the names of settings into the schema of the chart's values, and the rendered manifests."""

import sys

from tests.support.helm.chart import EXAMPLES, SCHEMA, helm_missing, render, rendered_file
from tests.support.helm.setting_names import schema_text


def main() -> int:
    """Write everything that can be written here. Returns the exit status: 1 if the manifests could not be rendered."""
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    if missing := helm_missing():
        print(f"the manifests are not rendered: {missing}", file=sys.stderr)
        return 1
    for example in EXAMPLES:
        rendered_file(example).write_text(render(example), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
