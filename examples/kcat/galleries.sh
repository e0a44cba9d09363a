#!/usr/bin/env bash
# Prints all galleries that are complete, up to the end of the joined topic.
set -euo pipefail

KAFKA=${TRIPTYCH_KAFKA_BOOTSTRAP:-127.0.0.1:9092}
PREFIX=${TRIPTYCH_TOPIC_PREFIX:-triptych.}

# The numbers are those of the rules in docs/consumers.md. For each gallery:
#   head, shown  the latest head record, and that of the state that is shown
#   items        the item records of the state that is shown; `changes` those since then, null for a removed item
#   count        the number of items with the changes; `ahead` those with a higher sequence than the head
kcat -C -b "$KAFKA" -t "${PREFIX}galleries" -o beginning -e -q -J | jq -nr '
  def number: if . == null then 0 else .sequence end;

  def with_item($id; $record):
    (.changes | has($id)) as $is_changed
    | (if $is_changed then .changes[$id] else .items[$id] end) as $before
    | if $record != null and (
          ($is_changed and $before == null) # 2: it was removed
          or ($before != null and $record.sequence < $before.sequence) # 1
          or ($before == null and $record.sequence <= (.shown | number))) # 4
      then .
      else .changes[$id] = $record
        | .count += (if $record then 1 else 0 end) - (if $before then 1 else 0 end)
        | if $record != null and $record.sequence > (.head | number) then .ahead[$id] = $record.sequence else del(.ahead[$id]) end
      end;

  def with_head($record):
    if $record.sequence < (.head | number) then . # 1
    else .head = $record | .ahead |= with_entries(select(.value > $record.sequence)) end;

  def show:
    ((.head | number) > (.shown | number)) as $is_higher
    | reduce (.changes | to_entries[]) as $change (.;
        if $change.value then .items[$change.key] = $change.value else del(.items[$change.key]) end)
    | .changes |= (if $is_higher then {} else with_entries(select(.value == null)) end) # 2: it stays removed
    | .shown = .head
    | .is_new = $is_higher;

  def fed($item; $record):
    .is_new = false
    | if $item then with_item($item; $record) else with_head($record) end
    | if .head != null and .count == .head.totalItems and (.ahead | length) == 0 then show else . end; # 3

  foreach inputs as $record ({};
    (($record.key // "") / "/") as [$id, $item]
    | .out = null
    | (if $record.payload == null then null else $record.payload | fromjson? // "not JSON" end) as $value
    | if ($value | type) == "string" then .out = "\($record.topic)-\($record.partition)@\($record.offset) is skipped: \($value)"
      elif .all[$id].is_deleted then . # 5
      elif $value == null and $item == null then .all[$id] = {is_deleted: true} | .out = "\($id)  deleted" # 5
      else .all[$id] = ((.all[$id] // {items: {}, changes: {}, count: 0, ahead: {}}) | fed($item; $value))
        | .all[$id] as $gallery
        | if $gallery.is_new then
            .out = "\($id)  #\($gallery.shown.sequence)  "
              + "\($gallery.shown.gallery.name): \($gallery.items | length) items: "
              + ([$gallery.shown.items[:3][].title // "(no title)"] | join(", "))
          else . end
      end;
    .out // empty)'
