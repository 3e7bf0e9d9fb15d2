"""Which offers are answered, with which codec, and the errors for others."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_detect.errors import CodecError, NoVideoError, OfferError, SignalingError
from stream_detect.webrtc.offer import Codec, read_offer

TRANSPORT = """c=IN IP4 0.0.0.0
a=candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host generation 0
a=candidate:2 1 udp 2122260222 4c1a5b40-0001.local 50001 typ host generation 0
a=ice-ufrag:dFgH
a=ice-pwd:0123456789abcdefghijklmn
a=ice-options:trickle
a=fingerprint:sha-256 {fingerprint}
a=setup:actpass
""".format(fingerprint=":".join(["AB"] * 32))

SESSION = """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=msid-semantic: WMS stream
"""

AUDIO = f"""m=audio 9 UDP/TLS/RTP/SAVPF 111 0
{TRANSPORT}a=mid:0
a=sendrecv
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:0 PCMU/8000
"""

H264 = """a=rtpmap:102 H264/90000
a=rtcp-fb:102 goog-remb
a=rtcp-fb:102 nack pli
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
"""

VP8 = """a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
"""

VIDEO = f"""m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 45
{TRANSPORT}a=mid:1
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=sendrecv
a=msid:stream camera
a=rtcp-mux
a=rtcp-rsize
{VP8}{H264}a=rtpmap:45 AV1/90000
a=ssrc-group:FID 1111 2222
a=ssrc:1111 cname:x
a=ssrc:2222 cname:x
"""

DATA = f"""m=application 9 UDP/DTLS/SCTP webrtc-datachannel
{TRANSPORT}a=mid:2
a=sctp-port:5000
a=max-message-size:262144
"""

OFFER = SESSION + AUDIO + VIDEO + DATA


@pytest.mark.parametrize(
    ("text", "h264", "codec"),
    [
        (OFFER, True, Codec.H264),
        (OFFER, False, Codec.VP8),
        (OFFER.replace("packetization-mode=1", "packetization-mode=0"), True, Codec.VP8),
        (OFFER.replace("42e01f", "640c1f"), True, Codec.VP8),
        (OFFER.replace("42e01f", "42001f"), True, Codec.H264),
        (OFFER.replace(VP8, ""), True, Codec.H264),
        (SESSION.replace("0 1 2", "1") + VIDEO, True, Codec.H264),
        (OFFER.replace("\n", "\r\n"), True, Codec.H264),
    ],
)
def test_a_good_offer_is_answered_in_the_best_codec_that_it_has(text, h264, codec):
    assert read_offer(text, h264=h264).codec is codec


def test_mdns_candidates_are_left_out_and_others_kept():
    sdp = read_offer(OFFER, h264=True).sdp
    assert ".local" not in sdp
    assert sdp.count("192.0.2.7") == 3


CANDIDATE = "a=candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host generation 0\n"
BUNDLED = "".join(VIDEO.replace("m=video 9", "m=video 0").partition(TRANSPORT)[::2]) + "a=bundle-only\n"
SESSION_LEVEL = SESSION + TRANSPORT + "".join(section.replace(TRANSPORT, "") for section in (AUDIO, VIDEO, DATA))


def test_a_publisher_may_offer_to_receive_as_well():
    assert read_offer(OFFER, h264=True, direction="sendonly").codec is Codec.H264
    with pytest.raises(NoVideoError, match="received sendrecv"):
        read_offer(OFFER, h264=True, direction="recvonly")


@pytest.mark.parametrize(
    ("text", "there"),
    [
        (SESSION + AUDIO + BUNDLED + DATA, "a=ice-pwd"),
        (SESSION_LEVEL, "a=ice-pwd"),
        ("\ufeff\n" + OFFER.replace("\n", "\n\n"), "m=video"),
        (OFFER.replace("a=sendrecv\n", ""), "a=sendrecv"),
        (SESSION + "a=sendrecv\n" + (AUDIO + VIDEO + DATA).replace("a=sendrecv\n", ""), "a=sendrecv"),
        (OFFER.replace("192.0.2.7", "example.org"), "m=video"),
        (OFFER.replace(CANDIDATE, "a=candidate:1 1 udp\na=candidate:\na=candidate\n"), "m=video"),
        (OFFER + "a=fmtp:35 level-idx=5\na=fmtp:\n", "m=video"),
        (
            OFFER.replace(DATA, "a=ssrc:1 cname\na=ssrc-group:FID x\na=extmap:9 urn:x of=7 more\n" + DATA),
            "a=extmap:9 urn:x\r",
        ),
        (SESSION + AUDIO.replace("a=rtpmap:111 opus/48000/2\n", "") + VIDEO + DATA, "a=rtpmap:0 PCMU/8000"),
    ],
)
def test_what_the_standards_allow_is_taken(text, there):
    offer = read_offer(text, h264=True)
    assert offer.codec is Codec.H264
    assert there in offer.sdp
    assert "example.org" not in offer.sdp


STOPPED = "m=audio 0 UDP/TLS/RTP/SAVPF 111\na=mid:0\na=inactive\n"
OTHER_VIDEO = VIDEO.replace("a=mid:1", "a=mid:3").replace(VP8, "").replace(H264, "")
UNKNOWN_AUDIO = AUDIO.replace("opus/48000/2", "lpc/8000").replace("PCMU", "DVI4")
ALONE = SESSION.replace(" 0 1 2", " 1")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (OFFER, []),
        (ALONE + STOPPED + VIDEO, [0]),
        (SESSION.replace(" 0 1 2", " 0 1") + STOPPED + VIDEO, [0]),
        (ALONE + STOPPED.replace("a=mid:0\n", "") + VIDEO, [0]),
        (ALONE + STOPPED.replace("audio", "video") + VIDEO, [0]),
        (ALONE + VIDEO + "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\na=mid:2\n", [1]),
        (OFFER + "m=text 9 RTP/AVP 98\na=rtpmap:98 t140/1000\n", [3]),
        (SESSION + UNKNOWN_AUDIO + VIDEO + DATA, [0]),
        (
            SESSION.replace(" 2", " 3")
            + VIDEO.replace("a=mid:1", "a=mid:0")
            + STOPPED.replace(":0", ":1")
            + OTHER_VIDEO,
            [1, 2],
        ),
        (SESSION.replace(" 0 1 2", " 3 1") + OTHER_VIDEO + VIDEO, [0]),
    ],
)
def test_what_cannot_be_answered_beside_the_video_is_declined_alone(text, places):
    offer = read_offer(text, h264=True)
    assert offer.codec is Codec.H264
    offered = [section.splitlines()[0] for section in text.split("m=")[1:]]
    answer = offer.answered_as_offered(offer.sdp)
    sections = [f"m={section}".splitlines() for section in answer.split("m=")[1:]]
    assert [place for place, lines in enumerate(sections) if lines[0].split()[1] == "0"] == places
    assert [lines[0].split()[0] for lines in sections] == [f"m={line.split()[0]}" for line in offered]
    for place in places:
        assert sections[place][0].split()[2:] == offered[place].split()[2:]
        assert "a=inactive" in sections[place]
        (mid,) = [line for line in text.split("m=")[place + 1].splitlines() if line.startswith("a=mid:")] or [None]
        assert mid is None or (
            mid in sections[place] and mid.removeprefix("a=mid:") not in answer.splitlines()[4].split()
        )


def test_the_candidates_of_a_declined_section_are_those_of_the_bundle():
    text = SESSION + UNKNOWN_AUDIO + VIDEO.replace(CANDIDATE, "") + DATA.replace(CANDIDATE, "")
    assert read_offer(text, h264=True).sdp.count("192.0.2.7") == 1


def test_sections_without_mids_are_answered_without_them():
    text = (
        SESSION.replace("a=group:BUNDLE 0 1 2\n", "") + VIDEO.replace("a=mid:1\n", "") + DATA.replace("a=mid:2\n", "")
    )
    offer = read_offer(text, h264=True)
    assert "a=mid:0" in offer.sdp
    answer = offer.answered_as_offered(offer.sdp.replace("t=0 0", "t=0 0\r\na=group:BUNDLE 0 1"))
    assert "a=mid" not in answer
    assert "BUNDLE" not in answer


@pytest.mark.parametrize("port", [" 0 ", " 70000 ", " -1 "])
def test_candidates_without_a_port_are_left_out(port):
    assert "192.0.2.7" not in read_offer(OFFER.replace(" 50000 ", port), h264=True).sdp


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", OfferError, "begins with v=0"),
        ("hello", OfferError, "begins with v=0"),
        ("v=0\r\n", OfferError, "media sections"),
        ("v=zero\r\n", OfferError, "cannot be parsed"),
        (OFFER.replace("m=video 9", "m=video nine"), OfferError, "cannot be parsed"),
        (OFFER.replace("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP8"), OfferError, "cannot be parsed"),
        (OFFER.replace("a=setup:actpass", "a=setup:maybe"), OfferError, "cannot be parsed"),
        (OFFER.replace(CANDIDATE, CANDIDATE * 65), OfferError, "64 candidates"),
        (OFFER.replace("a=ice-pwd", "a=x-pwd"), OfferError, "a=ice-pwd"),
        (OFFER.replace("a=fingerprint", "a=x"), OfferError, "a=fingerprint"),
        (OFFER.replace("a=setup:actpass\n", ""), OfferError, "a=setup"),
        (OFFER.replace("sha-256", "md5"), OfferError, "a=fingerprint"),
        (OFFER.replace("a=mid:1", "a=mid:0"), OfferError, "a different mid"),
        (OFFER.replace("a=mid:1\n", ""), OfferError, "a different mid"),
        (OFFER.replace("BUNDLE 0 1 2", "BUNDLE 0 1 7"), OfferError, "BUNDLE"),
        (OFFER.replace("a=rtcp-mux\n", ""), OfferError, "a=rtcp-mux"),
        (OFFER.replace("a=sctp-port:5000\n", ""), OfferError, "a=sctp-port"),
        (OFFER + DATA.replace("a=mid:2", "a=mid:3"), OfferError, "one data channel section"),
        (SESSION.replace("0 1 2", "0 2") + AUDIO + DATA, NoVideoError, "without video"),
        (OFFER.replace("a=sendrecv", "a=recvonly"), NoVideoError, "received recvonly"),
        (OFFER.replace("a=sendrecv", "a=inactive"), NoVideoError, "received inactive"),
        (OFFER.replace("a=sendrecv", "a=sendonly"), NoVideoError, "received sendonly"),
        (OFFER.replace(VP8, "").replace(H264, ""), CodecError, "received AV1"),
        (SESSION.replace(" 0 1 2", " 1") + VIDEO.replace("m=video 9", "m=video 0"), NoVideoError, "without video"),
        (OFFER + VIDEO.replace("m=video 9", "m=video 0") * 6, OfferError, "1 to 8 media sections"),
    ],
)
def test_a_bad_offer_is_refused_with_the_reason(text, error, words):
    with pytest.raises(SignalingError, match=words) as raised:
        read_offer(text, h264=True)
    assert type(raised.value) is error


LONG = 60_000
"""Characters of an offer: somewhat less than the API accepts."""


def repeated(lines):
    """An offer whose video has so many lines more."""
    return OFFER.replace(H264, H264 + "".join(lines))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (repeated(["a=fmtp:1 x\n"] * (LONG // 11)), ""),
        (repeated(f"a=rtpmap:{number} H264/90000\n" for number in range(LONG // 24)), "128 formats at most"),
        (
            SESSION + VIDEO.replace("a=setup:actpass\n", "a=setup:actpass\n" + "a=fingerprint:x y\n" * (LONG // 36))
            + "m=audio 9 UDP/TLS/RTP/SAVPF 0\na=bundle-only\n" * (LONG // 92),
            "1 to 8 media sections",
        ),
    ],
    ids=["parameters", "formats", "sections"],
)  # fmt: skip
def test_a_long_offer_does_not_hold_the_event_loop(text, words):
    began_s = time.thread_time()
    if words:
        with pytest.raises(OfferError, match=words):
            read_offer(text, h264=True)
    else:
        assert read_offer(text, h264=True).codec is Codec.H264
    assert time.thread_time() - began_s < 0.5


@given(st.data())
def test_damaged_offers_raise_our_errors(data):
    lines = OFFER.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        line = lines[index]
        cut = data.draw(st.integers(0, len(line)))
        lines[index] = data.draw(
            st.sampled_from(
                [line[:cut], line[cut:], line + line[:cut], line.replace("1", "x"), lines[cut % len(lines)]]
            )
        )
    try:
        offer = read_offer("\n".join(lines), h264=True)
    except SignalingError:
        return
    assert offer.codec in Codec
