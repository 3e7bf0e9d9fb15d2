"""Settings: built-in defaults, then the settings file, then the environment; read at the composition root only.

Every other room is given the sections that it uses. Each value has its unit in its name and its reason here.
"""

from collections import Counter
from typing import Self

from pydantic import model_validator

from stream_detect.settings.access import AccessSettings, AuditSettings
from stream_detect.settings.alerts import AlertSettings, MqttSettings, WebhookSettings
from stream_detect.settings.analysis import FaceSettings, FeedSettings, QualitySettings, WindowSettings
from stream_detect.settings.cameras import CameraSettings, MonitoringSettings
from stream_detect.settings.cluster import ClusterSettings
from stream_detect.settings.media import IceAddress, IceServer, VideoSettings, WebRtcSettings, ice_address
from stream_detect.settings.review import ReviewSettings
from stream_detect.settings.section import Section
from stream_detect.settings.server import ModelSettings, ServerSettings, is_loopback
from stream_detect.settings.storage import EvidenceSettings, StorageSettings

__all__ = (
    "AccessSettings",
    "AlertSettings",
    "AuditSettings",
    "CameraSettings",
    "ClusterSettings",
    "EvidenceSettings",
    "FaceSettings",
    "FeedSettings",
    "IceAddress",
    "IceServer",
    "ModelSettings",
    "MonitoringSettings",
    "MqttSettings",
    "QualitySettings",
    "ReviewSettings",
    "Section",
    "ServerSettings",
    "Settings",
    "StorageSettings",
    "VideoSettings",
    "WebRtcSettings",
    "WebhookSettings",
    "WindowSettings",
    "ice_address",
    "is_loopback",
)


class Settings(Section):
    """All sections."""

    server: ServerSettings = ServerSettings()
    access: AccessSettings = AccessSettings()
    audit: AuditSettings = AuditSettings()
    model: ModelSettings = ModelSettings()
    faces: FaceSettings = FaceSettings()
    quality: QualitySettings = QualitySettings()
    window: WindowSettings = WindowSettings()
    feed: FeedSettings = FeedSettings()
    webrtc: WebRtcSettings = WebRtcSettings()
    video: VideoSettings = VideoSettings()
    cameras: tuple[CameraSettings, ...] = ()
    monitoring: MonitoringSettings = MonitoringSettings()
    storage: StorageSettings = StorageSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    alerts: AlertSettings = AlertSettings()
    webhooks: tuple[WebhookSettings, ...] = ()
    mqtt: MqttSettings = MqttSettings()
    review: ReviewSettings = ReviewSettings()
    cluster: ClusterSettings = ClusterSettings()

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        for what, names in (
            ("camera", [camera.name for camera in self.cameras]),
            ("webhook", [webhook.name for webhook in self.webhooks]),
        ):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ValueError(f"expected {what} names that differ, received {twice[0]} twice")
        if len(self.cameras) > self.monitoring.max_cameras:
            raise ValueError(
                f"expected at most {self.monitoring.max_cameras} cameras (monitoring.max_cameras), "
                f"received {len(self.cameras)}"
            )
        return self

    @model_validator(mode="after")
    def _enough_ports(self) -> Self:
        ports = self.webrtc.ports
        if ports is not None and len(ports) < self.most_sessions:
            raise ValueError(
                f"expected at least {self.most_sessions} ports in webrtc.udp_ports, one for each session "
                f"(webrtc.max_sessions, monitoring.max_viewers and cameras of whip:), received {len(ports)} in "
                f"{self.webrtc.udp_ports}; widen the range, or lower these"
            )
        return self

    @property
    def most_sessions(self) -> int:
        """Maximum number of WebRTC sessions at once."""
        published = sum(camera.url.get_secret_value().startswith("whip:") for camera in self.cameras)
        return self.webrtc.max_sessions + self.monitoring.max_viewers + published
