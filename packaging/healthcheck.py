"""The container's health check: exit status 0 while the server in it answers /healthz."""

import os
import ssl
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 4
EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked, not listened on


def main() -> int:
    """Ask the server, by the address, port and scheme that its environment sets."""
    port = os.environ.get("STREAM_DETECT_SERVER__PORT", "8080")
    tls = any(os.environ.get(f"STREAM_DETECT_SERVER__{name}") for name in ("TLS", "TLS_CERTIFICATE"))
    scheme = "https" if tls else "http"
    host = os.environ.get("STREAM_DETECT_SERVER__HOST", "")
    host = EVERY_ADDRESS.get(host, host)
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/healthz"
    # As localhost, which is served whatever server.hosts has.
    asked = urllib.request.Request(address, headers={"Host": "localhost"})  # noqa: S310 - http or https
    context = ssl.create_default_context()
    context.check_hostname = False  # the certificate is for the name that browsers use, not for 127.0.0.1
    context.verify_mode = ssl.CERT_NONE
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with direct.open(asked, timeout=TIMEOUT_S) as answer:
            return int(answer.status != 200)
    except (urllib.error.URLError, OSError) as error:
        sys.stderr.write(f"expected {address} to answer 200, received {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
