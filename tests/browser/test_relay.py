"""The live check in a real Chromium whose network blocks all UDP except to a relay."""

import contextlib
import json

from tests.browser.test_live_check import VERDICTS, badge_matches
from tests.network import coturn
from tests.network.namespaces import a_field
from tests.network.processes import TOKEN, serving
from tests.network.test_relay import NO_UDP

PAIR = """async () => {
  const stats = [...(await window.connection.getStats()).values()];
  const of = (id) => stats.find((one) => one.id === id);
  const pair = of(stats.find((one) => one.type === "transport").selectedCandidatePairId);
  return [of(pair.localCandidateId).candidateType, of(pair.remoteCandidateId).candidateType];
}"""


def test_a_live_check_gets_its_badge_by_the_relay_alone(visit, webcam):
    with contextlib.ExitStack() as stack:
        field = stack.enter_context(a_field())
        server_host, client_host = field.host("server", "10.77.1"), field.host("client", "10.77.2")
        turn_host = field.host("turn", "10.77.3")
        field.router.filter(NO_UDP)
        relay = stack.enter_context(coturn.running(turn_host.address, 3478, secret=True, within=turn_host.within))
        server = stack.enter_context(
            serving(
                server_host,
                WEBRTC__ICE_SERVERS=json.dumps([{"urls": [relay.url()]}]),
                WEBRTC__TURN_SECRET=coturn.SECRET,
            )
        )
        opened = visit(webcam("real"), server, within=client_host.within, expected="401")
        stack.callback(opened.close)  # before the networks are removed
        dialog = opened.page.get_by_test_id("token-dialog")
        opened.until(dialog.is_visible)
        dialog.locator("input").fill(TOKEN)
        dialog.get_by_role("button", name="Continue").click()
        opened.until(lambda: not dialog.is_visible())
        opened.start()
        opened.wait_for_state(*VERDICTS)
        opened.until(lambda: badge_matches(opened))
        assert "relay" in opened.page.evaluate(PAIR)
