"""Everything that uses private parts of aiortc and aioice; no other module may.

Begin with `connection` (one peer connection, its limits and its end); `receiver` takes encoded frames from aiortc,
`sender` sends RTP that many viewers share, `rtcp` handles RTCP messages. This package knows no session, no camera and
no model. Attributes are shadowed on single objects; no class of the libraries is changed.

tests/webrtc/test_aiortc_contract.py fails when a version differs from `CHECKED_WITH`, or an attribute is missing: read
the changes of the library, run the tests of this folder, then set the new version here.
"""

CHECKED_WITH = {"aiortc": "1.16.0", "aioice": "0.13.0"}
"""Versions against which this code was written and tested."""
