"""The schemas in the repository are those of Kubernetes. `tests/unit/deploy/test_helm_schemas.py` checks by them."""

import pytest

from tests.support.helm.kubernetes_schemas import RELEASES, schema_file, schema_text


@pytest.mark.parametrize("release", RELEASES)
def test_the_schemas_in_the_repository_are_those_of_kubernetes(release: str) -> None:
    assert schema_file(release).read_text() == schema_text(release), "run `make helm` and review the difference"
