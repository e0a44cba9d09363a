"""`make helm`: writes the names of settings into the schema of the values, the manifests, and Kubernetes' schemas."""

import sys

from tests.support.helm import kubernetes_schemas
from tests.support.helm.chart import EXAMPLES, SCHEMA, helm_missing, render, rendered_file
from tests.support.helm.kubernetes_schemas import RELEASES, schema_file
from tests.support.helm.setting_names import schema_text


def main() -> int:
    """Write everything that can be written here. Returns the exit status: 1 if the manifests could not be rendered."""
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    missing = helm_missing()
    if missing:
        print(f"the manifests are not rendered: {missing}", file=sys.stderr)
    for example in EXAMPLES if not missing else ():
        rendered_file(example).write_text(render(example), encoding="utf-8")
    for release in RELEASES:
        schema_file(release).write_text(kubernetes_schemas.schema_text(release), encoding="utf-8")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
