"""Names and policies of the topics (contract, section 10)."""

from datetime import timedelta

import pytest

from triptych.contract.topics import Topics, is_gateway_topic


def test_names_follow_the_prefix() -> None:
    topics = Topics(prefix="t1.")
    assert (topics.commands, topics.replies, topics.events, topics.galleries) == (
        "t1.commands",
        "t1.replies",
        "t1.events",
        "t1.galleries",
    )
    assert topics.dead_letter(topics.events) == "t1.events.dead-letter"


def test_every_topic_has_its_policy() -> None:
    catalogue = {spec.name: spec for spec in Topics().catalogue(12, 1, timedelta(days=3))}
    policies = {
        name: (spec.config["cleanup.policy"], spec.config.get("retention.ms")) for name, spec in catalogue.items()
    }
    assert policies == {
        "triptych.commands": ("delete", "604800000"),
        "triptych.replies": ("delete", "3600000"),
        "triptych.events": ("delete", "259200000"),
        "triptych.galleries": ("compact", None),
        "triptych.commands.dead-letter": ("delete", "2592000000"),
        "triptych.events.dead-letter": ("delete", "2592000000"),
    }
    assert all((spec.partitions, spec.replication) == (12, 1) for spec in catalogue.values())
    assert not any("min.insync.replicas" in spec.config for spec in catalogue.values())


def test_replicas_must_be_in_sync_when_there_are_several() -> None:
    assert {spec.config["min.insync.replicas"] for spec in Topics().catalogue(1, 3)} == {"2"}


def test_each_gateway_may_have_a_topic_of_its_own() -> None:
    topics = Topics("t1.")
    added = topics.catalogue(12, 3, reply_topics=2)[len(topics.catalogue(12, 3)) :]
    assert [(spec.name, spec.partitions, spec.replication) for spec in added] == [
        ("t1.replies.0", 1, 3),
        ("t1.replies.1", 1, 3),
    ]
    usual = next(spec for spec in topics.catalogue(12, 3) if spec.name == topics.replies)
    assert all(spec.config == usual.config for spec in added)
    assert added[0].name not in topics.counts(12)


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        (Topics("t1.").gateway_replies(17), True),
        (Topics("").gateway_replies(0), True),
        (Topics().replies, False),
        (None, False),
        ("", False),
        ("replies.", False),
        ("replies.1x", False),
        ("replies.\u0661", False),
        ("elsewhere.1", False),
    ],
)
def test_the_topic_of_a_gateway_is_known_by_its_name(topic: str | None, *, expected: bool) -> None:
    assert is_gateway_topic(topic) is expected


def test_a_dead_letter_may_be_larger_than_its_record() -> None:
    limit = {spec.name: int(spec.config["max.message.bytes"]) for spec in Topics().catalogue(1, 1)}
    assert limit["triptych.commands.dead-letter"] > limit["triptych.commands"]


def test_events_can_be_kept_for_ever() -> None:
    events = {spec.name: spec for spec in Topics().catalogue(1, 1, None)}["triptych.events"]
    assert events.config["retention.ms"] == "-1"
