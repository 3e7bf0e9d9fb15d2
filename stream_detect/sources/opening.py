"""Opens a source with FFmpeg.

FFmpeg may use whitelisted protocols and formats only, and allocate no more at once than a frame may need.
"""

import ctypes
import importlib
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from threading import Event
from typing import Literal, cast

import av
from av.container import InputContainer
from av.error import ArgumentError, HTTPUnauthorizedError, InvalidDataError
from av.error import EOFError as NothingMoreError
from av.video.stream import VideoStream

from stream_detect.errors import AddressError, SourceError, SourceRefusedError
from stream_detect.errors import SourceUnreachableError as Unreachable
from stream_detect.sources.address import Address
from stream_detect.sources.failures import FAILURES, REASONS, opening_failure
from stream_detect.sources.file_frame import STRICT, film_among
from stream_detect.sources.hls import HlsStream, Position
from stream_detect.sources.hls_playlist import is_playlist
from stream_detect.sources.http import Web
from stream_detect.sources.rtsp_describe import describe

PROTOCOLS = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsp,rtsps,rtp,srtp,udp,tcp,tls",
    "rtmp": "rtmp,tcp",
    "http": "http,https,tcp,tls",
    "https": "https,tcp,tls",
    "file": "file",
    "v4l2": "file",
}
"""FFmpeg's names of the protocols that each scheme may use."""

WEB_FORMATS = (
    *("mpjpeg", "mpegts", "flv", "live_flv", "mov", "matroska", "avi", "asf", "ogg", "nut", "mpeg", "mpegvideo"),
    *("h264", "hevc", "mjpeg", "ivf", "obu", "m4v", "gif", "image2pipe", "jpeg_pipe"),
)
"""Formats accepted over HTTP. Playlists are not among them, because they refer to other addresses (hls.py reads HLS).
"""

PACED_FORMATS = frozenset({"mov", "matroska", "avi"})
"""Over HTTP these arrive faster than real time: they are complete files."""

UNTIMED_FORMATS = frozenset({"mpjpeg", "mjpeg"})
"""Formats without timestamps; FFmpeg assumes 25 fps."""

MAX_STREAMS = 50
"""Streams per source; a description with thousands is malicious."""

MAX_LIVE_PIXELS = 12_582_912
"""4096x3072, the size of 12-megapixel cameras; an 8K stream takes 2 GB to decode (measured)."""

BYTES_A_PIXEL = 8
"""Bytes per pixel of the largest single buffer: 16 bits of red, green, blue and alpha."""

SNIFFED_BYTES = 1 << 16
SNIFF_S = 1.0
"""Bytes read from an address whose format FFmpeg does not recognise: 64 kB, or what arrives within a second."""

DESCRIBE_S = 1.5
"""Time limit for asking an RTSP camera once more that refused FFmpeg."""

JPEG_BEGINS = b"\xff\xd8\xff"
SOF_MARKERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """How a source is read.

    Args:
        transport: transport of RTSP media.
        loop: whether a file restarts at its end.
        open_timeout_s: total time limit for opening.
        read_timeout_s: time limit for each packet.
        max_pixels: width times height of a frame; larger ones are rejected before they are decoded.
    """

    transport: Literal["tcp", "udp"] = "tcp"
    loop: bool = False
    open_timeout_s: float = 4.5
    read_timeout_s: float = 4.0
    max_pixels: int = MAX_LIVE_PIXELS

    def advice(self, address: Address) -> str:
        """Advice for a source whose frames arrive damaged, as the end of a sentence."""
        if address.scheme in {"rtsp", "rtsps"} and self.transport == "udp":
            return " over UDP: set the camera's transport to tcp"
        return " on their way: a wired link, or a lower bit rate of the camera, helps" if address.is_live else ""


@dataclass(frozen=True, slots=True)
class Opened:
    """An open source.

    Args:
        container: the container to demux.
        stream: its video stream, with one decoder thread.
        paced: it arrives faster than real time and must be paced.
        untimed: its timestamps are meaningless.
        web: HTTP client that feeds the container; None if FFmpeg reads it itself.
    """

    container: InputContainer
    stream: VideoStream
    paced: bool
    untimed: bool
    web: Web | None = None

    @property
    def regular(self) -> bool:
        """Whether a missing frame can be recognised by the timestamps of its neighbours."""
        return not self.paced and not self.untimed

    def close(self) -> None:
        """Closes the container and the HTTP client."""
        self.container.close()
        if self.web is not None:
            self.web.close()


class _Remaining:
    """Time left for opening. PyAV restarts its clock for each stage and reads the time-out with float()."""

    def __init__(self, timeout_s: float) -> None:
        self._end_s = time.monotonic() + timeout_s

    def __float__(self) -> float:
        return max(0.0, self._end_s - time.monotonic())


def open_source(
    address: Address, settings: ReaderSettings, stopping: Event | None = None, position: Position | None = None
) -> Opened:
    """Opens a source.

    Args:
        address: what to open.
        settings: how to read it.
        stopping: ends any wait.
        position: position in an HLS stream; it is updated.

    Raises:
        AddressError: there is nothing to open, because publishers send its frames.
        SourceRefusedError: it rejected the credentials.
        SourceStalledError: it sends nothing new.
        SourceUnreachableError: it does not respond in time, or sends no video that can be decoded.
    """
    if address.is_pushed:
        raise AddressError("the frames of a whip: camera are sent by its publisher")
    # Live checks and publishers decode in the same process, whatever cameras may have.
    limit_allocations(max(settings.max_pixels, MAX_LIVE_PIXELS) * BYTES_A_PIXEL)
    remaining = _Remaining(settings.open_timeout_s)
    if address.scheme not in {"http", "https"}:
        return _open(address, settings, remaining)
    stopping, position = stopping or Event(), position or Position()
    path = address.secret_url.partition("?")[0].partition("#")[0].lower()
    if path.endswith((".m3u8", ".m3u")):
        return _open_hls(address, settings, remaining, stopping, position)
    container = _container(address, settings, remaining)
    if isinstance(container, InputContainer):
        if container.format.name != "mpjpeg" or container.streams.video[0].codec_context.width:
            return _with_video(container, address, settings)
        container.close()  # no part was read because their headers are unusual ("image/jpg")
        return _open(address, settings, remaining, form="mjpeg")
    if not isinstance(container, InvalidDataError | ArgumentError | NothingMoreError):
        raise opening_failure(container, timed_out=not float(remaining), timeout_s=settings.open_timeout_s)
    with closing(Web(address, stopping)) as web:
        begin = web.get(web.url, SNIFFED_BYTES, min(float(remaining), SNIFF_S), cut=True).body
    if is_playlist(begin):
        return _open_hls(address, settings, remaining, stopping, position)
    if JPEG_BEGINS in begin:  # its parts have an unusual form: search for the JPEGs themselves
        return _open(address, settings, remaining, form="mjpeg")
    raise Unreachable(REASONS[InvalidDataError])


def limit_allocations(most_bytes: int) -> None:
    """Limits single allocations of FFmpeg in the whole process.

    FFmpeg allocates the size that a peer's header states before any data arrives: a camera whose description claimed
    two gigabytes got them (measured).
    """
    library = ctypes.CDLL(importlib.import_module("av._core").__file__)  # its symbols include those of FFmpeg
    library.av_max_alloc.argtypes = (ctypes.c_size_t,)
    library.av_max_alloc(most_bytes)


def refused_size(codec: str, packet: "av.Packet[VideoStream]", context_wh: tuple[int, int], max_pixels: int) -> str:
    """Why a packet was not decoded, if its size is the reason; otherwise empty.

    Args:
        codec: FFmpeg's name.
        packet: the packet that failed.
        context_wh: the decoder's size, which it forgets when it rejects one.
        max_pixels: limit of width times height.
    """
    wh = jpeg_wh(bytes(packet)) if codec == "mjpeg" else None
    if wh is not None and wh[0] * wh[1] > max_pixels:
        return _too_large(f"{wh[0]}x{wh[1]}", max_pixels)
    return _too_large("larger ones", max_pixels) if codec != "mjpeg" and not all(context_wh) else ""


def jpeg_wh(data: bytes) -> tuple[int, int] | None:
    """Width and height in a JPEG's frame header (ITU-T T.81, B.2.2); None if not found."""
    at = data.find(JPEG_BEGINS) + 2
    while 2 <= at < len(data) - 9:
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker in SOF_MARKERS:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 1 if marker == 0xFF else 2 + max(int.from_bytes(data[at + 2 : at + 4], "big"), 2)
    return None


def _too_large(received: str, max_pixels: int) -> str:
    return f"expected frames of at most {max_pixels:,} pixels (monitoring.max_pixels), received {received}"


def _container(
    address: Address, settings: ReaderSettings, remaining: _Remaining, form: str | None = None
) -> InputContainer | BaseException:
    """Opens the address with FFmpeg; returns the container or the error."""
    try:
        return av.open(
            address.location,
            mode="r",
            format="v4l2" if address.scheme == "v4l2" else form,
            options={"max_pixels": str(settings.max_pixels)},
            container_options=_options(address, settings),
            timeout=(cast("float", remaining), settings.read_timeout_s),
        )
    except FAILURES as error:
        return error


def _open(address: Address, settings: ReaderSettings, remaining: _Remaining, form: str | None = None) -> Opened:
    container = _container(address, settings, remaining, form)
    if address.scheme == "rtsp" and isinstance(container, HTTPUnauthorizedError | ArgumentError):
        container = _described(container, address, settings, remaining)
    if isinstance(container, InputContainer):
        return _with_video(container, address, settings)
    transport: Literal["", "tcp", "udp"] = settings.transport if address.scheme in {"rtsp", "rtsps"} else ""
    # No traceback may show PyAV's error, because it contains the address.
    raise opening_failure(
        container, timed_out=not float(remaining), timeout_s=settings.open_timeout_s, transport=transport
    )


def _described(
    error: BaseException, address: Address, settings: ReaderSettings, remaining: _Remaining
) -> InputContainer | BaseException:
    """Opens an RTSP address that FFmpeg was refused at: a redirection makes it forget the password.

    Raises:
        SourceRefusedError: the camera only accepts a login that FFmpeg does not support.
    """
    found = describe(address.secret_url, min(float(remaining), DESCRIBE_S))
    if found.unsupported:
        raise SourceRefusedError(
            f"the camera only accepts a login by {found.unsupported}, which is not supported: allow Digest (MD5) or "
            "Basic in its settings"
        )
    if found.url == address.secret_url:
        return error
    return _container(replace(address, secret_url=found.url), settings, remaining)


def _open_hls(
    address: Address, settings: ReaderSettings, remaining: _Remaining, stopping: Event, position: Position
) -> Opened:
    problem: SourceError
    with ExitStack() as stack:
        web = stack.enter_context(closing(Web(address, stopping)))
        stream = HlsStream(web.get, web.url, position, stopping, settings.read_timeout_s, settings.max_pixels)
        stream.begin(float(remaining))
        try:
            container = av.open(
                stream,
                mode="r",
                options={"max_pixels": str(settings.max_pixels)},
                container_options=_options(address, settings) | {"protocol_whitelist": ""},
            )
        except FAILURES as error:
            problem = opening_failure(error, timed_out=False, timeout_s=settings.open_timeout_s)
        else:
            opened = _with_video(container, address, settings)
            stack.pop_all()
            return replace(opened, paced=True, web=web)
    raise problem


def _with_video(container: InputContainer, address: Address, settings: ReaderSettings) -> Opened:
    with ExitStack() as stack:
        stack.callback(container.close)
        if not container.streams.video:
            raise Unreachable("the source has no video")
        stream = film_among(container.streams.video)
        if stream is None:
            raise Unreachable("its video is of a codec that is not known here")
        context = stream.codec_context
        if context.width * context.height > settings.max_pixels:
            raise Unreachable(_too_large(f"{context.width}x{context.height}", settings.max_pixels))
        context.thread_count = 1
        context.options = {"max_pixels": str(settings.max_pixels), **STRICT.get(context.name, {})}
        if address.is_live:
            context.flags |= av.codec.context.Flags.low_delay
        stack.pop_all()
    formats = set(container.format.name.split(","))
    paced = not address.is_live or (address.scheme in {"http", "https"} and bool(formats & PACED_FORMATS))
    return Opened(container, stream, paced, address.is_live and bool(formats & UNTIMED_FORMATS))


def _options(address: Address, settings: ReaderSettings) -> dict[str, str]:
    options = {"protocol_whitelist": PROTOCOLS[address.scheme], "max_streams": str(MAX_STREAMS)}
    if address.scheme in {"rtsp", "rtsps"}:
        # Without "nobuffer", which drops what was read while probing, including the key frame that a camera sends to a
        # new client; the next one may be 20 s away.
        options |= {"rtsp_transport": settings.transport, "allowed_media_types": "video", "analyzeduration": "100000"}
    elif address.scheme == "rtmp":
        options |= {"analyzeduration": "1000000"}
    elif address.is_live:
        options |= {"analyzeduration": "2000000"}
    if address.scheme in {"http", "https"}:
        options |= {"format_whitelist": ",".join(WEB_FORMATS)}
    return options
