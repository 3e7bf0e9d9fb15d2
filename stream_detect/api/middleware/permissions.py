"""The permissions: the minimum role for each route, and its action in the audit log.

A route that is not in the table requires an admin, and a test fails.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from stream_detect.access.principal import Principal
from stream_detect.types import Role

_V, _O, _A = Role.VIEWER, Role.OPERATOR, Role.ADMIN


@dataclass(frozen=True, slots=True)
class Permission:
    """Permission required by a route.

    Args:
        least: minimum role; None for everybody, signed in or not.
        action: name of the action in the audit log; empty for reading that is not recorded.
    """

    least: Role | None
    action: str = ""

    @property
    def is_viewing(self) -> bool:
        """Whether it views evidence: repeated views are not recorded for a while."""
        return self.action.endswith(".view")


UNKNOWN: Final = Permission(_A, "route.unknown")

PERMISSIONS: Final[Mapping[str, Permission]] = {
    # The page's own files are open too: they contain no secrets, and a browser needs them to show the sign-in.
    "GET /": Permission(None),
    "GET /healthz": Permission(None),
    "GET /readyz": Permission(_V),
    "GET /metrics": Permission(_V),
    "GET /docs": Permission(_V),
    "GET /openapi.json": Permission(_V),
    "GET /api/status": Permission(_V),
    # Live check
    "POST /webrtc/check": Permission(_O, "check.begin"),
    "DELETE /webrtc/check/{session_id}": Permission(_O, "check.end"),
    "POST /webrtc/check/{session_id}/challenge": Permission(_O, "challenge.begin"),
    "GET /webrtc/check/{session_id}/challenge": Permission(_O),
    "DELETE /webrtc/check/{session_id}/challenge": Permission(_O, "challenge.end"),
    "GET /api/checks": Permission(_O),
    "GET /api/checks/{check_id}": Permission(_O),
    "DELETE /api/checks/{check_id}": Permission(_A, "check.delete"),
    # Models
    "GET /api/models": Permission(_V),
    "PUT /api/models/judging": Permission(_A, "model.choose"),
    "GET /api/cluster": Permission(_V),
    # Cameras
    "GET /api/cameras": Permission(_V),
    "POST /api/cameras": Permission(_A, "camera.add"),
    "POST /api/cameras/reload": Permission(_A, "settings.reload"),
    "POST /api/cameras/test-connection": Permission(_A, "camera.test"),
    "GET /api/cameras/{name}": Permission(_V),
    "PUT /api/cameras/{name}": Permission(_A, "camera.change"),
    "DELETE /api/cameras/{name}": Permission(_A, "camera.delete"),
    "POST /api/cameras/{name}/stop": Permission(_A, "camera.stop"),
    "POST /api/cameras/{name}/start": Permission(_A, "camera.start"),
    "GET /api/cameras/{name}/snapshot.jpg": Permission(_V),
    "GET /api/cameras/{name}/scores": Permission(_V),
    "GET /api/cameras/{name}/states": Permission(_V),
    "POST /api/cameras/{name}/challenge": Permission(_O, "challenge.begin"),
    "GET /api/cameras/{name}/challenge": Permission(_V),
    "DELETE /api/cameras/{name}/challenge": Permission(_O, "challenge.end"),
    "GET /api/streams/{name}/results": Permission(_V),
    "GET /api/streams/events": Permission(_V),
    # Publishers and viewers
    "POST /whip/{name}": Permission(_O, "camera.publish"),
    "DELETE /whip/{name}/{session_id}": Permission(_O, "camera.unpublish"),
    "OPTIONS /whip/{name}": Permission(_V),
    "OPTIONS /whip/{name}/{session_id}": Permission(_V),
    "GET /whip/{name}": Permission(_V),  # answered 405, as below
    "PUT /whip/{name}": Permission(_O),
    "PATCH /whip/{name}": Permission(_O),
    "GET /whip/{name}/{session_id}": Permission(_V),
    "PUT /whip/{name}/{session_id}": Permission(_O),
    "PATCH /whip/{name}/{session_id}": Permission(_O),
    "POST /whep/{name}": Permission(_V, "camera.watch"),
    "DELETE /whep/{name}/{session_id}": Permission(_V, "camera.unwatch"),
    "OPTIONS /whep/{name}": Permission(_V),
    "OPTIONS /whep/{name}/{session_id}": Permission(_V),
    "GET /whep/{name}": Permission(_V),  # answered 405, as below
    "PUT /whep/{name}": Permission(_V),
    "PATCH /whep/{name}": Permission(_V),
    "GET /whep/{name}/{session_id}": Permission(_V),
    "PUT /whep/{name}/{session_id}": Permission(_V),
    "PATCH /whep/{name}/{session_id}": Permission(_V),
    # Events and their evidence
    "GET /api/events": Permission(_V),
    "GET /api/events/{event_id}": Permission(_V),
    "DELETE /api/events/{event_id}": Permission(_A, "event.delete"),
    "GET /api/events/{event_id}/picture.jpg": Permission(_V, "evidence.view"),
    "GET /api/events/{event_id}/face.jpg": Permission(_V, "evidence.view"),
    "GET /api/events/{event_id}/clip.mp4": Permission(_V, "evidence.view"),
    # Alerts
    "GET /api/alerts": Permission(_V),
    "POST /api/alerts/{name}/test": Permission(_O, "alert.test"),
    # Analyses
    "GET /api/analyses": Permission(_V),
    "POST /api/analyses": Permission(_O, "analysis.submit"),
    "GET /api/analyses/{analysis_id}": Permission(_V),
    "DELETE /api/analyses/{analysis_id}": Permission(_A, "analysis.delete"),
    "POST /api/analyses/{analysis_id}/cancel": Permission(_O, "analysis.cancel"),
    "GET /api/analyses/{analysis_id}/progress": Permission(_V),
    "GET /api/analyses/{analysis_id}/results": Permission(_V, "analysis.view"),
    "GET /api/analyses/{analysis_id}/media": Permission(_V, "analysis.view"),
    "GET /api/analyses/{analysis_id}/flagged/{n}.jpg": Permission(_V, "analysis.view"),
    "GET /api/analyses/{analysis_id}/flagged/{n}-map.jpg": Permission(_V, "analysis.view"),
    "POST /api/analyses/{analysis_id}/annotated": Permission(_O, "analysis.annotate"),
    "GET /api/analyses/{analysis_id}/annotated": Permission(_V),
    "GET /api/analyses/{analysis_id}/annotated.mp4": Permission(_V, "analysis.view"),
    "GET /api/analyses/{analysis_id}/annotated.jpg": Permission(_V, "analysis.view"),
    "GET /api/analyses/{analysis_id}/report.html": Permission(_V, "analysis.view"),
    "GET /api/analyses/{analysis_id}/report.json": Permission(_V, "analysis.view"),
    "GET /api/analyses/{analysis_id}/report.csv": Permission(_V, "analysis.view"),
    # Users, their sessions and tokens
    "GET /api/me": Permission(None),
    "PUT /api/me/password": Permission(_V, "password.change"),
    "POST /api/session": Permission(None, "session.begin"),
    "DELETE /api/session": Permission(None, "session.end"),
    "GET /api/sessions": Permission(_V),
    "DELETE /api/sessions": Permission(_V, "session.end_all"),
    "DELETE /api/sessions/{session_id}": Permission(_V, "session.end"),
    "GET /api/oidc/login": Permission(None),
    "GET /api/oidc/callback": Permission(None, "session.begin"),
    "GET /api/users": Permission(_A),
    "POST /api/users": Permission(_A, "user.add"),
    "PATCH /api/users/{user}": Permission(_A, "user.change"),
    "DELETE /api/users/{user}": Permission(_A, "user.remove"),
    "GET /api/users/{user}/sessions": Permission(_A),
    "DELETE /api/users/{user}/sessions": Permission(_A, "session.end_all"),
    "GET /api/tokens": Permission(_V),
    "POST /api/tokens": Permission(_V, "token.add"),
    "DELETE /api/tokens/{token_id}": Permission(_V, "token.revoke"),
    "GET /api/audit": Permission(_A, "audit.view"),
}


class Permissions:
    """Permission of each request, by its route.

    Args:
        routes: all routes, in matching order.
        open_paths: paths of the page's own files.
    """

    def __init__(self, routes: Sequence[BaseRoute], open_paths: Collection[str]) -> None:
        self._routes = [route for route in routes if isinstance(route, Route)]
        self._open_paths = open_paths

    def of(self, scope: Scope) -> tuple[Permission, str, Mapping[str, Any]]:
        """The permission for a request, the path template of its route, and the values in the path.

        An unknown path requires a viewer, who gets 404.
        """
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        near: Route | None = None
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                return self.needed(method, route.path), route.path, found["path_params"]
            if match is Match.PARTIAL and near is None:
                near = route
        return Permission(Role.VIEWER), "" if near is None else near.path, {}

    def needed(self, method: str, path: str) -> Permission:
        """The permission of a route, by method and path template."""
        if method == "GET" and path in self._open_paths:
            return PERMISSIONS["GET /"]
        return PERMISSIONS.get(f"{method} {path}", UNKNOWN)

    def listed(self) -> list[str]:
        """All routes: method and path template."""
        methods = ((method, route.path) for route in self._routes for method in sorted(route.methods or ()))
        return [f"{method} {path}" for method, path in methods if method != "HEAD"]

    def unlisted(self) -> list[str]:
        """Routes that are not in the table."""
        return [route for route in self.listed() if self.needed(*route.split(" ", 1)) is UNKNOWN]


def refusal(principal: Principal, permission: Permission, path: str, values: Mapping[str, Any]) -> str:
    """Why a principal may not make a request, in a sentence; empty if it may."""
    if permission.least is None:
        return ""
    if principal.camera is not None and not (
        path.startswith("/whip/{name}") and values.get("name") == principal.camera
    ):
        return f"this token can only publish to the camera {principal.camera}, at /whip/{principal.camera}"
    if principal.role.covers(permission.least):
        return ""
    return f"expected the role {permission.least.value} or a higher one, received {principal.role.value}"
