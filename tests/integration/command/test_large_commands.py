"""Commands whose records are small on the topic and large when they are decompressed are accepted up to the limit."""

from tests.support.commands import TEXT, structured
from tests.support.kafka import raw_producer
from tests.support.sender import Sender
from triptych.command.domain.decide import DIRECT_ITEMS
from triptych.contract.sizes import COMMAND_BYTES_MAX


async def test_the_largest_command_waits_for_a_job_and_a_larger_one_is_refused_by_name(sender: Sender) -> None:
    installation = sender.installation
    gallery_id = await sender.gallery(DIRECT_ITEMS + 10)
    data = {"galleryId": gallery_id, "items": [TEXT]}
    cleared = await sender.put("ClearGallery", {"galleryId": gallery_id})
    await sender.producer.flush()
    bootstrap = installation.addresses.kafka_bootstrap
    async with raw_producer(bootstrap, compression_type="zstd", max_request_size=2**26) as producer:
        for command_id, size in (("largest", COMMAND_BYTES_MAX - 1_000), ("larger", COMMAND_BYTES_MAX + 1)):
            value = structured("CreateItems", data, id=command_id).ljust(size)
            await producer.send(installation.topics.commands, value, key=gallery_id.encode())
        await producer.flush()
    assert (await sender.reply_to(cleared))["outcome"] == "accepted"
    assert (await sender.reply_to("largest"))["outcome"] == "accepted"
    refused = await sender.reply_to("larger")
    assert refused["error"]["code"] == "INVALID_ARGUMENT"
    (violation,) = refused["error"]["violations"]
    assert (violation["violatedRule"], violation["data"]) == ("MAX_SIZE", {"threshold": COMMAND_BYTES_MAX})
    assert len(await sender.item_ids(gallery_id)) == 1
