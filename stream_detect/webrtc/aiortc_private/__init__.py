"""All that touches private parts of aiortc and aioice, in one place: nothing else in the tree may.

Begin with `connection` (one peer connection, its bounds and its end); `receiver` takes encoded frames off aiortc,
`sender` sends RTP that many viewers share, `rtcp` listens to what a peer asks. Nothing here knows a session, a camera
or a model. Attributes are shadowed on single objects; no class of the libraries is changed.

tests/webrtc/test_aiortc_contract.py fails when a version differs from `CHECKED_WITH`, or an attribute is missing: read
the library's changes, run the tests of this folder, then note the new version here.
"""

CHECKED_WITH = {"aiortc": "1.16.0", "aioice": "0.13.0"}
"""Versions that this code was written against and tested with."""
