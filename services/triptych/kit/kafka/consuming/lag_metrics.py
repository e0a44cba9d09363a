"""Owns the metrics of lag, by topic and partition."""

from collections.abc import Mapping

from prometheus_client import Gauge

from triptych.kit.kafka.consuming.lag_tracker import Lag

LAG = Gauge("triptych_lag_records", "Records of a partition that its reader has not finished", ["topic", "partition"])
LAG_SECONDS = Gauge(
    "triptych_lag_seconds",
    "Age of the oldest record of a partition that its reader has not finished, or the time since it was seen first",
    ["topic", "partition"],
)


def show_lags(topic: str, lags: Mapping[int, Lag]) -> None:
    """Show the lags of a topic by partition; all other partitions of the topic have no values any more."""
    for gauge in (LAG, LAG_SECONDS):
        for labels in [labels for labels in gauge._metrics if labels[0] == topic]:
            if int(labels[1]) not in lags:
                gauge.remove(*labels)
    for partition, lag in lags.items():
        LAG.labels(topic, partition).set(lag.records)
        LAG_SECONDS.labels(topic, partition).set(lag.seconds)
