"""The client's name of its camera: how it is cleaned, and which virtual cameras it suggests."""

import pytest

from stream_detect.webrtc.live_check import MAX_LABEL_CHARS, printable, virtual_camera


@pytest.mark.parametrize(
    ("label", "program"),
    [
        ("OBS Virtual Camera", "OBS Studio"),
        ("OBS-Camera", "OBS Studio"),
        ("ManyCam Virtual Webcam", "ManyCam"),
        ("DeepFaceLive Camera", "DeepFaceLive"),
        ("Snap Camera", "Snap Camera"),
        ("XSplit VCam", "XSplit"),
        ("mmhmm Camera", "Airtime"),
        ("NVIDIA Broadcast", "NVIDIA Broadcast"),
        ("Dummy video device (0x0000)", "v4l2loopback"),
        ("Unity Video Capture", "UnityCapture"),
        ("e2eSoft iVCam virtual", "a virtual camera"),
        ("", ""),
        ("Integrated Camera (04f2:b6d9)", ""),
        ("FaceTime HD Camera", ""),
        ("Logitech BRIO", ""),
        ("Jobs' iPhone Camera", ""),
        ("fake_device_0", ""),
        ("OBSBOT Tiny 2", ""),
    ],
)
def test_a_virtual_camera_is_recognised_by_its_name_and_no_other(label, program):
    assert virtual_camera(label) == program


def test_a_label_is_stored_as_one_bounded_line():
    assert printable(" OBS\nVirtual\x1b[2J\0 Camera\ud800 ") == "OBSVirtual[2J Camera"
    assert printable("x" * 999) == "x" * MAX_LABEL_CHARS
