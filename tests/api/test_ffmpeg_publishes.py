"""FFmpeg's WHIP publisher and a server process: clients other than browsers work."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PUBLISH = """
import sys, time
from fractions import Fraction
import av

url, certificate, key = sys.argv[1:]
options = {"cert_file": certificate, "key_file": key, "handshake_timeout": "30000"}
with av.open(url, "w", format="whip", options=options) as output:
    stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "tune": "zerolatency"})
    stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
    stream.codec_context.max_b_frames, stream.codec_context.gop_size = 0, 25
    began_s, number = time.monotonic(), 0
    while True:
        frame = av.VideoFrame(320, 240, "yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        output.mux(stream.encode(frame))
        number += 1
        time.sleep(max(0.0, began_s + number / 25 - time.monotonic()))
"""


def certificate_and_key(folder: Path) -> tuple[Path, Path]:
    """A P-256 certificate for ten days; FFmpeg with GnuTLS would create a P-224 one, which OpenSSL 4 refuses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "publisher")])
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + 9 * day)
        .sign(key, hashes.SHA256())
    )
    pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    paths = folder / "publisher.pem", folder / "publisher.key"
    paths[0].write_bytes(certificate.public_bytes(pem))
    paths[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password))
    return paths


@pytest.mark.server
@pytest.mark.slow
def test_ffmpeg_publishes_and_leaves(site, tmp_path):
    site.write({"name": "street", "url": "whip:"})
    site.serve()
    certificate, key = certificate_and_key(tmp_path)
    url = f"{site.server.url}/whip/street"
    with subprocess.Popen([sys.executable, "-c", PUBLISH, url, str(certificate), str(key)]) as ffmpeg:
        try:
            camera = site.is_live("street")
            assert (camera["codec"], camera["width"], camera["height"]) == ("h264", 320, 240)
        finally:
            ffmpeg.kill()
    assert site.comes(lambda: site.camera("street")["state"] != "live")
