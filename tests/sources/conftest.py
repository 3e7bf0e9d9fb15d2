"""Sources for tests: files made by PyAV, an HTTP server, and a function to read frames."""

import itertools
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from stream_detect.sources.address import parse_address
from stream_detect.sources.reader import Reader, ReaderSettings, SourceFrame

Read = Callable[..., list[SourceFrame]]


def clip_images(count: int, wh: tuple[int, int]) -> Iterator[np.ndarray]:
    """RGB images with a white top left quarter and a moving bar."""
    for index in range(count):
        image = np.full((wh[1], wh[0], 3), 40, np.uint8)
        image[: wh[1] // 2, : wh[0] // 2] = 255
        image[-20:, (8 * index) % wh[0] :][:, :16] = 200
        yield image


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    """Makes a clip; its suffix gives the container."""

    def make(  # noqa: PLR0913, PLR0917 - each has a default
        name: str = "clip.mp4",
        count: int = 25,
        wh: tuple[int, int] = (320, 240),
        rotation: int = 0,
        codec: str = "libx264",
        options: dict[str, str] | None = None,
        key_every: int = 10,
        bframes: int = 2,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=options or {}) as container:
            stream = container.add_stream(codec, rate=Fraction(25))
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height = wh
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.codec_context.gop_size = key_every
            if codec == "libx264":
                x264 = f"bframes={bframes}:scenecut=0:b-pyramid=0"
                stream.codec_context.options = {"preset": "ultrafast", "x264-params": x264}
            if rotation:
                stream.set_display_rotation(rotation)
            for image in clip_images(count, wh):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
        return path

    return make


@pytest.fixture
def read() -> Read:
    """The first `count` frames of an address."""

    def pictures(url: str, count: int, **settings: Any) -> list[SourceFrame]:
        address = parse_address(url, from_settings_file=True)
        with Reader(address, ReaderSettings(**settings), threading.Event()) as reader:
            return list(itertools.islice(reader.pictures(), count))

    return pictures


def jpeg(image: np.ndarray) -> bytes:
    context = av.CodecContext.create("mjpeg", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.height, context.width = image.shape[:2]
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuvj420p", dst_color_range="JPEG")
    return bytes(context.encode(frame)[0])


class Server(ThreadingHTTPServer):
    """Serves until `stopped` is set."""

    def __init__(self, handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.stopped = threading.Event()


class Webcam(BaseHTTPRequestHandler):
    """Motion JPEG like cameras, at 10 fps; /locked requires a password, /page is not a video."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        if self.path == "/locked":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        elif self.path == "/page":
            self.send_response(200)
        else:
            return self._film()
        self.send_header("Content-Length", "2000")
        self.end_headers()
        self.wfile.write(b"<html>" + b" " * 1994)
        return None

    def _film(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for image in clip_images(50, (160, 120)):
            picture = jpeg(image)
            try:
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                self.wfile.write(b"Content-Length: %d\r\n\r\n%s\r\n" % (len(picture), picture))
            except OSError:
                return
            if self.server.stopped.wait(0.1):
                return

    def log_message(self, *_: object) -> None:
        pass


class Files(SimpleHTTPRequestHandler):
    """Serves the files of a folder."""

    def log_message(self, *_: object) -> None:
        pass


def served(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    server = Server(handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.stopped.set()
    server.shutdown()
    server.server_close()
    thread.join(60)


@pytest.fixture
def webcam() -> Iterator[str]:
    """Address of an HTTP server that is a camera."""
    yield from served(Webcam)


@pytest.fixture
def web_folder(tmp_path: Path) -> Iterator[str]:
    """Address of an HTTP server for the test's folder."""
    yield from served(partial(Files, directory=str(tmp_path)))
