"""Messages of the server and of `doctor` about unusable ICE servers and ports."""

import json
import socket
import sys

from tests.network.coturn import PASSWORD, USER
from tests.patience import until
from tests.ports import free_port
from tests.test_house import run

DOCTOR = (sys.executable, "-c", "from stream_detect.cli import main; main(['doctor'])")


def servers(*urls: str, password: str = PASSWORD) -> str:
    return json.dumps([{"urls": list(urls), "username": USER, "credential": password}])


def test_problems_stand_in_the_status_and_in_the_log(start_server, coturn):
    dead = f"turn:127.0.0.1:{free_port()}?transport=tcp"
    server = start_server(WEBRTC__ICE_SERVERS=servers(coturn.url(), dead, password="hunter2-hunter2"))
    problems = until(lambda: found if len(found := server.get("/api/status")["problems"]) == 2 else None)
    assert problems[0].startswith(f"ICE server {coturn.url()} refuses username and credential (401")
    assert problems[1] == f"ICE server {dead} cannot be reached (Connection refused)"
    server.stop()
    log = "".join(server.log)
    assert all(log.count(problem) == 1 for problem in problems), log
    assert "hunter2" not in log


def test_the_doctor_tries_an_allocation(coturn):
    well = run(*DOCTOR, STREAM_DETECT_SERVER__PORT="0", STREAM_DETECT_WEBRTC__ICE_SERVERS=servers(coturn.url()))
    assert "ok       ICE servers             1 answer" in well.stdout
    ill = run(
        *DOCTOR,
        STREAM_DETECT_SERVER__PORT="0",
        STREAM_DETECT_WEBRTC__ICE_SERVERS=servers(coturn.url(), password="hunter2-hunter2"),
    )
    assert f"MISSING  ICE servers             {coturn.url()} refuses username and credential (401" in ill.stdout
    assert "hunter2" not in ill.stdout + ill.stderr


def test_a_server_does_not_start_on_ports_in_use():
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        first = min(taken.getsockname()[1], 65_435)
        completed = run(
            "server.py", STREAM_DETECT_SERVER__PORT="0", STREAM_DETECT_WEBRTC__UDP_PORTS=f"{first}-{first + 67}"
        )
    assert completed.returncode == 2
    assert "expected at least 68 free ports in webrtc.udp_ports" in completed.stderr
    assert completed.stderr.count("\n") == 1
