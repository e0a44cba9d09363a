"""Models of images, videos and texts, with the rules that make their round trip exact."""

from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import quote, urlsplit

from pydantic import AliasChoices, Field, model_validator

from triptych.contract.base import NUMERIC, Double, Integer, JsonObject, ViolatedRule, WireModel, broken, null_as

MEDIA_BASE = "https://static.wixstatic.com/media/"
"""The address of the media store; the id of a stored picture follows."""

_IMAGE_SCHEMES = ("wix:image://", "image://")
_YOUTUBE = ("youtube.com", "youtu.be", "youtube-nocookie.com")
_VIMEO = ("vimeo.com",)


def is_web_address(url: str) -> bool:
    """Whether this is an absolute http(s) address with a host."""
    try:
        address = urlsplit(url)
        return address.scheme in ("http", "https") and bool(address.hostname)
    except ValueError:
        return False


def _refuse_address(field: str) -> Exception:
    expected = "http or https address"
    return broken(ViolatedRule.FORMAT, f"must be an {expected}", field=field, data={"expected": expected})


def _has_no_name(url: str | None) -> bool:
    """Whether this is an image URI without a file name: `wix:image://v1/<id>#...`."""
    if url is None or not url.startswith(_IMAGE_SCHEMES):
        return False
    _, _, path = url.partition("://")
    return len(path.partition("#")[0].split("/")) < 3


class ImageInfo(WireModel):
    """Which picture: one of the media store by `id`, or an external one by `url` (contract, section 3.3).

    With an id, the three fields that the client prints are always present, and `url` is the address in the store.
    """

    id: str | None = None
    url: str | None = None
    height: Integer | None = None
    width: Integer | None = None
    alt_text: str | None = None
    filename: str | None = None

    @model_validator(mode="after")
    def _make_exact(self) -> Self:
        if not self.id:
            if not self.url:
                raise broken(ViolatedRule.REQUIRED_FIELD, "is required when there is no url", field="id")
            if not is_web_address(self.url):  # D11
                raise _refuse_address("url")
            return self._normalise(id=None)
        # The client writes the word "undefined" for a missing name (D12).
        if self.filename == self.alt_text == "undefined" and _has_no_name(self.url):
            self._normalise(filename=None, alt_text=None)
        return self._normalise(
            height=self.height or 0, width=self.width or 0, url=MEDIA_BASE + quote(self.id, safe="~")
        )


class FocalPoint(WireModel):
    """The point of a picture that cropping keeps, usually as fractions of width and height from 0 to 1."""

    x: Double
    y: Double


class UnsharpMasking(WireModel):
    """Sharpening: `amount` 0 to 5, `threshold` 0 to 1, `radius` in pixels."""

    amount: Annotated[Double, Field(ge=0, le=5)] | None = None
    radius: Double | None = None
    threshold: Annotated[Double, Field(ge=0, le=1)] | None = None


class Image(WireModel):
    """A picture and how it is shown (contract, section 3.3)."""

    image_info: ImageInfo
    focal_point: FocalPoint | None = None
    exif: JsonObject | None = None
    quality: Annotated[int, Field(ge=30, le=100), NUMERIC] | None = None
    unsharp_masking: UnsharpMasking | None = None


class Poster(WireModel):
    """A still image of a video, returned exactly as received, since the client chooses a poster by these fields."""

    id: str | None = None
    url: str | None = None
    height: Integer | None = None
    width: Integer | None = None
    alt_text: str | None = None
    filename: str | None = None
    format: str | None = None
    quality: str | None = None


class Resolution(WireModel):
    """One encoding of a video; sizes in pixels."""

    url: str | None = None
    height: Integer | None = None
    width: Integer | None = None
    format: str | None = None
    quality: str | None = None
    filename: str | None = None


class VideoInfo(WireModel):
    """Which video: one of the media store by `id`, or an external one by `url` (contract, section 3.4)."""

    id: str | None = None
    url: str | None = None
    filename: str | None = None
    posters: Annotated[tuple[Poster, ...], Field(max_length=100)] | None = None
    resolutions: Annotated[tuple[Resolution, ...], Field(max_length=100)] | None = None

    @model_validator(mode="after")
    def _check_link(self) -> Self:
        if self.id:
            return self if self.url is None or is_web_address(self.url) else self._normalise(url=None)
        if not self.url:
            raise broken(ViolatedRule.REQUIRED_FIELD, "is required when there is no url", field="id")
        if not is_web_address(self.url):
            raise _refuse_address("url")
        return self


class VideoType(StrEnum):
    """Who serves the video."""

    UNDEFINED = "UNDEFINED"
    WIX_MEDIA = "WIX_MEDIA"
    YOUTUBE = "YOUTUBE"
    VIMEO = "VIMEO"


def video_type_of(info: VideoInfo) -> VideoType:
    """Who serves this video, derived from its link (D10)."""
    host = "" if info.id or not info.url else urlsplit(info.url).hostname or ""
    for domains, served_by in ((_YOUTUBE, VideoType.YOUTUBE), (_VIMEO, VideoType.VIMEO)):
        if any(host == domain or host.endswith("." + domain) for domain in domains):
            return served_by
    return VideoType.WIX_MEDIA


class Video(WireModel):
    """A video; an absent `type` is derived; a duration is accepted under its old name and as text."""

    type: Annotated[VideoType, null_as(VideoType.UNDEFINED)] = VideoType.UNDEFINED
    video_info: VideoInfo
    duration_in_millis: Integer | None = Field(
        default=None,
        validation_alias=AliasChoices("durationInMillis", "duration"),
        serialization_alias="durationInMillis",
    )

    @model_validator(mode="after")
    def _derive_type(self) -> Self:
        if self.type is VideoType.UNDEFINED:
            self._normalise(type=video_type_of(self.video_info))
        return self


class Text(WireModel):
    """A text; `css` is free-form; the `editor` fields are kept as received (contract, section 3.5)."""

    html: Annotated[str, Field(max_length=100_000)]
    css: JsonObject | None = None
    editor_html: str | None = None
    editor_font_id: str | None = None
