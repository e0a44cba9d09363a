#!/usr/bin/env bash
# Prints each event of the galleries once, up to the end of the topic, and says which events are missing.
set -euo pipefail

KAFKA=${TRIPTYCH_KAFKA_BOOTSTRAP:-127.0.0.1:9092}
PREFIX=${TRIPTYCH_TOPIC_PREFIX:-triptych.}

# librdkafka returns committed records only, unless it is told otherwise.
kcat -C -b "$KAFKA" -t "${PREFIX}events" -o beginning -e -q -J | jq -nr '
  # What has been handled of a gallery: the highest sequence, and the ranges below it that are missing.
  def judged($sequence):
    if . == null then {last: $sequence, missing: [], is_new: true} # earlier events may have expired
    elif $sequence > .last then
      .gap = (if $sequence > .last + 1 then [.last + 1, $sequence - 1] else null end)
      # They are lost, or late: after partitions were added, they may still come from the former partition.
      | .missing = (.missing + (if .gap then [.gap] else [] end))[-16:]
      | .last = $sequence
      | .is_new = true
    else
      .gap = null
      | .is_new = any(.missing[]; .[0] <= $sequence and $sequence <= .[1]) # otherwise it is a repeat
      | .missing = [.missing[] | if .[0] <= $sequence and $sequence <= .[1]
          then ([.[0], $sequence - 1], [$sequence + 1, .[1]] | select(.[0] <= .[1])) else . end]
    end;

  def shown:
    .actionEvent.body as $body
    | .createdEvent.entity.name // .updatedEvent.currentEntity.name
      // $body.item.title // $body.updatedItem.title // $body.itemId // "";

  foreach (inputs | .attributes = ([.headers // [] | range(0; length; 2) as $i | {key: .[$i], value: .[$i + 1]}] | from_entries))
    as $record ({galleries: {}};
    .out = null
    | ($record.attributes.ce_type // "") as $type
    | (($record.attributes.ce_sequence // "") | tonumber? // null) as $sequence
    | $record.attributes.ce_subject as $id
    | if ($type | startswith("wix.pro_gallery.gallery_v2_") | not) or $sequence == null then . # a record of a snapshot
      else ($record.payload | fromjson? // null) as $event
        | if $event == null then .out = "\($record.topic)-\($record.partition)@\($record.offset) is skipped: not JSON"
          else .galleries[$id] |= judged($sequence)
            | .galleries[$id].gap as $gap
            | if .galleries[$id].is_new then
                .out = (if $gap then "\($id)  #\($gap[0]) to #\($gap[1]) are missing\n" else "" end)
                  + "\($id)  #\($sequence)  \($type | ltrimstr("wix.pro_gallery.gallery_v2_"))  \($event | shown)"
              else . end
          end
      end;
    .out // empty)'
