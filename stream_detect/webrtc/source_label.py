"""The name that a client's system gives its camera: what of it is kept, and whether it tells of a virtual camera."""

import re
from typing import Final

MAX_LABEL_CHARS = 128
"""Longest name of a camera: systems make them of a vendor, a product and two numbers."""

_PROGRAMS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), program)
    for pattern, program in (
        (r"\bobs\b", "OBS Studio"),
        (r"manycam", "ManyCam"),
        (r"deep ?face ?live", "DeepFaceLive"),
        (r"deep-?live-?cam", "Deep-Live-Cam"),
        (r"swapface", "SwapFace"),
        (r"\bavatarify\b", "Avatarify"),
        (r"snap ?camera|lens studio", "Snap Camera"),
        (r"xsplit", "XSplit"),
        (r"splitcam", "SplitCam"),
        (r"\bmmhmm\b|\bairtime\b", "Airtime"),
        (r"youcam", "YouCam"),
        (r"nvidia broadcast", "NVIDIA Broadcast"),
        (r"camtwist", "CamTwist"),
        (r"webcamoid|akvcam", "Webcamoid"),
        (r"\bndi\b", "NDI"),
        (r"droidcam", "DroidCam"),
        (r"\biriun\b", "Iriun"),
        (r"epoccam", "EpocCam"),
        (r"unity ?(video|cam)", "UnityCapture"),
        (r"v4l2 ?loopback|dummy video device", "v4l2loopback"),
        (r"virtual|loopback", "a virtual camera"),
    )
)
"""Names that virtual cameras give themselves on Windows, macOS and Linux, and the program that each belongs to."""


def printable(label: str) -> str:
    """A name that a client gave, fit for a line of the log and for the database."""
    return "".join(sign for sign in label if sign.isprintable())[:MAX_LABEL_CHARS].strip()


def virtual_camera(label: str) -> str:
    """The program behind a virtual camera of that name; empty where the name tells of none.

    A hint for people and no part of the verdict: a swap may come under any other name.
    """
    return next((program for pattern, program in _PROGRAMS if pattern.search(label)), "")
