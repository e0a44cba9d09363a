"""Creates the demo gallery of a new installation through the public API."""

from typing import Any

import httpx

from triptych.gateway.api.examples import DEMO_KEY

DEMO: dict[str, Any] = {
    "name": "Three panels",
    "items": [
        {
            "title": "Morning",
            "tags": {"values": ["demo", "sea"]},
            "image": {"imageInfo": {"url": "https://example.com/morning.jpg"}, "quality": 90},
        },
        {
            "title": "Noon",
            "video": {"type": "VIMEO", "videoInfo": {"url": "https://vimeo.com/123456789"}},
        },
        {"title": "Evening", "text": {"html": "<p>The third panel is made of words.</p>"}},
    ],
}


def ensure_demo(gateway: str, key: str) -> str:
    """Create the demo gallery unless the default site has galleries; the id of the newest gallery.

    Raises:
        httpx.HTTPError: the gateway refuses the request or does not answer.
    """
    with httpx.Client(base_url=f"{gateway}/progallery/v2", headers={"Authorization": key}, timeout=15) as client:
        listed = client.get("/galleries", params={"limit": 1}).raise_for_status().json()
        if listed["galleries"]:
            return str(listed["galleries"][0]["id"])
        # With this key the ids are the same in every installation, so that examples can name them.
        headers = {"Idempotency-Key": DEMO_KEY}
        created = client.post("/galleries", json={"gallery": DEMO}, headers=headers).raise_for_status().json()
        return str(created["gallery"]["id"])
