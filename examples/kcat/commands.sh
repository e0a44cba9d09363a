#!/usr/bin/env bash
# Sends commands, and waits for the reply to each of them.
set -euo pipefail

KAFKA=${TRIPTYCH_KAFKA_BOOTSTRAP:-127.0.0.1:9092}
PREFIX=${TRIPTYCH_TOPIC_PREFIX:-triptych.}
FIRST_RETRY=5
DEADLINE=60

new_id() { uuidgen 2>/dev/null | tr A-F a-f || cat /proc/sys/kernel/random/uuid; }

# The key is the gallery's id. By default, librdkafka would choose the partition by CRC32 of it, and may change the order
# of commands when it tries again.
publish() { # GALLERY COMMAND
  printf '%s\t%s\n' "$1" "$2" |
    kcat -P -b "$KAFKA" -t "${PREFIX}commands" -K '\t' -X partitioner=murmur2_random -X enable.idempotence=true
}

# The replies since a moment, each after its key: the correlation id of its command. The topic has those to all senders.
replies_since() { # MILLISECONDS
  kcat -C -b "$KAFKA" -t "${PREFIX}replies" -o "s@$1" -e -q -f '%k\t%s\n' -X fetch.wait.max.ms=50
}

# Prints the reply to a command. The same id sent again has no second effect, and gets the first reply.
send() { # NAME GALLERY ID DATA
  local correlation command reply pause=$FIRST_RETRY began=$SECONDS resend
  local since=$((($(date +%s) - 60) * 1000)) # a minute, since clocks differ
  correlation=$(new_id)
  command=$(jq -nc --arg id "$3" --arg type "triptych.command.v1.$1" --arg correlation "$correlation" --argjson data "$4" \
    '{specversion: "1.0", id: $id, type: $type, source: "shop", correlationid: $correlation, data: $data}')
  while ((SECONDS - began < DEADLINE)); do
    publish "$2" "$command"
    resend=$((SECONDS + pause)) pause=$((pause * 2))
    while ((SECONDS < resend)); do
      reply=$(replies_since "$since" | awk -F '\t' -v key="$correlation" '$1 == key { print $2; exit }') || true
      if [ -n "$reply" ]; then
        echo "$reply"
        return
      fi
      sleep 0.2
    done
  done
  echo "no reply to $3: it may still be carried out; ask with the same id" >&2
  return 1
}

gallery=$(new_id)
data=$(jq -nc --arg id "$gallery" '{galleryId: $id, gallery: {name: "From kcat", items: [
  {title: "One", text: {html: "<p>1</p>"}}, {title: "Two", text: {html: "<p>2</p>"}}]}}')
created=$(send CreateGallery "$gallery" "create-$gallery" "$data")
jq -r '"\(.outcome) gallery \(.galleryId) sequence \(.sequence) items \(.itemIds | length)"' <<<"$created"

# As if the reply had been lost: the same id and data.
again=$(send CreateGallery "$gallery" "create-$gallery" "$data")
jq -r --argjson created "$created" '"again \(.outcome) sequence \(.sequence) same items \(.itemIds == $created.itemIds)"' <<<"$again"

data=$(jq -c --arg id "$gallery" '{galleryId: $id, itemId: .itemIds[0],
  item: {image: {imageInfo: {url: "https://static.example/one.jpg"}, quality: 7}}}' <<<"$created")
refused=$(send UpdateItem "$gallery" "$(new_id)" "$data")
jq -r '.outcome as $outcome | .error | .code as $code | .violations[] | "\($outcome) \($code) \(.field) \(.description)"' <<<"$refused"
