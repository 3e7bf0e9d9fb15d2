"""Permitted addresses; and their secrets are never shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_detect.errors import AddressError
from stream_detect.sources.address import parse_address, redacted


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://10.0.0.5/stream", "rtsp://10.0.0.5/stream"),
        ("rtsp://viewer:s3cret@10.0.0.5:554/stream", "rtsp://viewer:***@10.0.0.5:554/stream"),
        ("rtsps://s3cret@cam/stream", "rtsps://***@cam/stream"),
        ("rtsps://s3cret:@cam/stream", "rtsps://***@cam/stream"),
        ("http://proxy/rtsp://viewer:s3cret@10.0.0.5/s", "http://proxy/rtsp://viewer:***@10.0.0.5/s"),
        ("http://proxy/?url=rtsp%3A%2F%2Fviewer%3As3cret%4010.0.0.5", "http://proxy/?url=***"),
        ("http://cam/snapshot?s3cret9&channel=1", "http://cam/snapshot?***=***&channel=1"),
        ("http://cam/live?stream=s3cret_and_much_longer", "http://cam/live?stream=***"),
        ("http://cam/password/s3cret/1", "http://cam/password/***/1"),
        ("http://cam/live?jwt=s3cret", "http://cam/live?jwt=***"),
        ("RTSP://viewer:s3c%40ret@[fe80::1]:554/s", "rtsp://viewer:***@[fe80::1]:554/s"),
        ("rtsp://cam/cam/realmonitor?channel=1&subtype=0", "rtsp://cam/cam/realmonitor?channel=1&subtype=0"),
        ("http://cam/video?user=a&pwd=s3cret&channel=2", "http://cam/video?user=***&pwd=***&channel=2"),
        ("rtsp://cam/user=a_password=s3cret_channel=1", "rtsp://cam/user=a_password=***"),
        ("rtsp://cam/live?userpwd=s3cret", "rtsp://cam/live?userpwd=***"),
        ("rtsp://cam/loginpas=s3cret/ch1", "rtsp://cam/loginpas=***"),
        ("http://cam/live.m3u8;jsessionid=s3cret", "http://cam/live.m3u8;jsessionid=***"),
        ("rtsps://nvr:7441/s3cRet0123456789?enableSrtp", "rtsps://nvr:7441/***?enableSrtp=***"),
        ("http://cam/5c3a91e0-7d1b-4c52-9b1e-2f60a1d7c3b8/live.m3u8", "http://cam/***/live.m3u8"),
        ("http://cam/live?stream=s3cret", "http://cam/live?stream=***"),
        ("http://cam/live?channel=20s3c7", "http://cam/live?channel=***"),
        ("rtmp://host/live/s3c8f2k9q1x7", "rtmp://host/live/***"),
        ("rtmp://host/live/door_s3c8f2k9q1x7", "rtmp://host/live/***"),
        ("rtmp://host/live/s3cr-8f2k-9q1x-ab7d", "rtmp://host/live/***"),
        ("rtsp://cam/Streaming/Channels/101", "rtsp://cam/Streaming/Channels/101"),
        ("rtsp://cam/h264Preview_01_main", "rtsp://cam/h264Preview_01_main"),
        ("rtsp://cam/live/ch00_0/front-door-2026", "rtsp://cam/live/ch00_0/front-door-2026"),
        ("rtsp://cam/mpeg4cif/videoMain/av0_0", "rtsp://cam/mpeg4cif/videoMain/av0_0"),
        ("http://cam/v?stream=0.sdp&profile=Profile_1", "http://cam/v?stream=0.sdp&profile=Profile_1"),
        ("http://cam/v?resolution=1920x1080&fps=12.5", "http://cam/v?resolution=1920x1080&fps=***"),
        ("http://cam/v?stream=main&channel=101&profile=high", "http://cam/v?stream=main&channel=101&profile=high"),
        ("rtsp://cam/axis-media/media.amp", "rtsp://cam/axis-media/media.amp"),
        ("http://cam/@door/live.m3u8", "http://cam/@door/live.m3u8"),
        ("rtmp://host/live/door", "rtmp://host/live/door"),
        ("whip:", "whip:"),
        ("file:/srv/clip.mp4", "file:/srv/clip.mp4"),
        ("file:///srv/clip.mp4", "file:/srv/clip.mp4"),
        ("v4l2:/dev/video0", "v4l2:/dev/video0"),
    ],
)
def test_addresses_are_shown_without_secrets(url: str, shown: str) -> None:
    address = parse_address(url, from_settings_file=True)
    assert address.shown == shown
    assert "s3c" not in f"{address} {address!r}"


def test_ffmpeg_is_given_the_whole_address() -> None:
    assert parse_address("rtsp://u:p@h/s", from_settings_file=False).location == "rtsp://u:p@h/s"
    assert (
        parse_address("RTSP://u:P@H/S", from_settings_file=False).location == "rtsp://u:P@H/S"
    )  # otherwise it refuses it
    assert parse_address("file:/a:b.mp4", from_settings_file=True).location == "/a:b.mp4"
    assert (
        parse_address("FILE:///a b%20.mp4", from_settings_file=True).location == "/a b%20.mp4"
    )  # a name, not an address
    assert parse_address("v4l2:/dev/video0", from_settings_file=True).location == "/dev/video0"


@pytest.mark.parametrize(
    ("url", "live", "pushed"),
    [("rtsp://h/s", True, False), ("file:/a", False, False), ("whip:", True, True), ("v4l2:/dev/video0", True, False)],
)
def test_kinds(url: str, live: bool, pushed: bool) -> None:
    address = parse_address(url, from_settings_file=True)
    assert (address.is_live, address.is_pushed) == (live, pushed)


@pytest.mark.parametrize("url", ["file:/etc/passwd", "v4l2:/dev/video0", "FILE:/etc/passwd"])
def test_files_and_devices_only_from_the_settings_file(url: str) -> None:
    with pytest.raises(AddressError, match="only in the settings file"):
        parse_address(url, from_settings_file=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/etc/passwd",
        "concat:/etc/passwd|/etc/hosts",
        "ftp://host/film",
        "udp://239.0.0.1:1234",
        "data:video/mp4;base64,AAAA",
        "subfile,,start,0,end,9,,:/etc/passwd",
        "rtsp://",
        "rtsp:///stream",
        "rtsp://viewer:s3cret@host:none/",
        "rtsp://viewer:s3/cret@host/",
        "rtsp://viewer:s3cret@host:/",
        "rtsp://viewer:8899?s3cret@host/1",  # an unescaped password that begins like a port
        "rtsp://viewer:8899#s3cret@host/1",
        "rtsp://viewer:8899/s3cret@host/1",
        "rtsp://viewer:8899?x=s3@cret@host/1",
        "rtsp://viewer:pa@ss/s3cret@host/1",
        "rtsp://viewer:8899/s3cret\uff20host/1",  # a full-width @ of an East Asian keyboard
        "http://viewer?s3cret@host/1",
        "rtsp://viewer:s3cret@[nonsense/",
        "rtsp://viewer:s3 cret@host/",
        "http://host/a\r\nHost: other",
        "rtsp://viewer:s3\u2028cret@host/",
        "rtsp://viewer:s3\ud800cret@host/",  # possible in JSON, but it cannot be sent
        "file:/clip\0.mp4",
        "whip:door",
        "whip://viewer:s3cret@host",
        "file:clip.mp4",
        "v4l2:/etc/passwd",
        "rtsp://host/" + "x" * 2000,
    ],
)
def test_others_are_refused_without_a_secret_in_the_message(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(url, from_settings_file=True)
    assert "s3" not in str(caught.value)
    assert caught.value.__context__ is None


@given(st.text(st.characters(codec="ascii", exclude_characters=" \"'<>", exclude_categories=["Cc", "Cs"]), min_size=3))
def test_no_password_survives_redaction(password: str) -> None:
    hidden = redacted(f"cannot open 'rtsp://viewer:{password}@10.0.0.5/stream' (401)")
    assert hidden == "cannot open 'rtsp://viewer:***@10.0.0.5/stream' (401)"
    assert redacted("no answer of rtsp://nvr/s3cRet0123456789") == "no answer of rtsp://nvr/***"


@pytest.mark.parametrize(
    "query", ["jwt=s3cret", "s3cret9", "u=a&p=s3cret", "pa%73sword=s3cret", "url=rtsp%3A%2F%2Fa%3As3cret%40h"]
)
def test_no_secret_of_a_query_survives_redaction(query: str) -> None:
    assert "s3cret" not in redacted(f"cannot open 'http://cam/live?{query}' (401)")
