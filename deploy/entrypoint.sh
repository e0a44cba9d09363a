#!/bin/sh
# The first word is the role of the container: the name of a service, or else a command of `triptych`.
set -eu
case "${1:-}" in
  command | projector | webhooks | gateway) exec python -m "triptych.$1" ;;
  *) exec triptych "$@" ;;
esac
