"""Real-time deepfake detection for live video: returns each frame with a REAL, FAKE or UNCERTAIN badge drawn on it."""

import sys

__version__ = "0.2.0"

# `import openvino` would report each start to Google Analytics by the package openvino-telemetry, unless CI is set.
# With None in its place importing that package fails, and OpenVINO takes its own stub, which sends nothing. This module
# is imported before OpenVINO, whoever imports that: this program, Keras or NNCF.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
