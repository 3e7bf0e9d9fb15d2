import { useCallback, useState } from "react";
import { useResource } from "../resource";
import { useMay } from "../roles";
import { useServices } from "../services";
import { asFailure } from "../stream/failure";
import type { AlertWay } from "../stream/events";
import { asSentence } from "../words";
import { Button } from "./Button";
import { Failed, Loading } from "./ListState";

const KINDS: Readonly<Record<AlertWay["kind"], string>> = { webhook: "webhook", mqtt: "MQTT" };
const STATES: Readonly<Record<AlertWay["state"], string>> = { ok: "Working", failing: "Failing", connecting: "Connecting" };

/** Notifications of events, whether that works, and a way to try it. */
export function AlertWays() {
  const { cameras } = useServices();
  const [ways, reload] = useResource(useCallback(() => cameras.alertWays(), [cameras]));
  return (
    <details data-testid="alerts" className="panel">
      <summary className="rounded-lg p-4">
        <span className="font-semibold">Notifications</span>
        {ways.state === "ready" && <span className="ml-3 text-sm text-muted">{summary(ways.value)}</span>}
      </summary>
      <div className="space-y-3 px-4 pb-4">
        {ways.state === "loading" && <Loading>Loading …</Loading>}
        {ways.state === "failed" && (
          <Failed what="The notifiers could not be loaded." failure={ways.failure} retrying={ways.retrying} onRetry={reload} />
        )}
        {ways.state === "ready" && ways.value.length === 0 && (
          <p>None yet. Add webhooks or an MQTT broker under “alerts” in the server&apos;s settings file (see docs/operations.md).</p>
        )}
        {ways.state === "ready" && (
          <ul className="space-y-3">
            {ways.value.map((way) => (
              <Way key={way.name} way={way} onTested={reload} />
            ))}
          </ul>
        )}
      </div>
    </details>
  );
}

function Way({ way, onTested }: { readonly way: AlertWay; readonly onTested: () => void }) {
  const { cameras } = useServices();
  const mayTest = useMay("operator");
  const [testing, setTesting] = useState(false);
  const [outcome, setOutcome] = useState("");
  const test = async (): Promise<void> => {
    setTesting(true);
    setOutcome("");
    try {
      const { ok, detail } = await cameras.testAlert(way.name);
      setOutcome(`${ok ? "It arrived." : "It did not arrive."} ${asSentence(detail)}`);
    } catch (error) {
      setOutcome(`Not sent. ${asSentence(asFailure(error).detail)}`);
    }
    setTesting(false);
    onTested();
  };
  return (
    <li data-testid="alert-way" data-state={way.state} className="flex flex-wrap items-center gap-x-4 gap-y-2 border-t border-edge pt-3">
      <div className="min-w-0 flex-1 basis-56">
        <p>
          <span className="font-semibold">{way.name}</span> <span className="text-muted">{KINDS[way.kind]}</span>
        </p>
        <p className="text-sm">
          {STATES[way.state]}
          {way.detail !== "" && `: ${way.detail}`}
        </p>
        <p className="text-sm text-muted">
          {way.delivered} delivered, {way.failed} failed, {way.waiting} waiting
        </p>
      </div>
      {mayTest && (
        <Button testId="test-alert" disabled={testing} onClick={() => void test()}>
          {testing ? "Sending …" : "Send a test alert"}
        </Button>
      )}
      <p role="status" className="basis-full text-sm empty:hidden">
        {outcome}
      </p>
    </li>
  );
}

function summary(ways: readonly AlertWay[]): string {
  if (ways.length === 0) return "none configured";
  const failing = ways.filter(({ state }) => state === "failing").length;
  const count = `${ways.length} ${ways.length === 1 ? "way" : "ways"}`;
  return failing === 0 ? count : `${count}, ${failing} failing`;
}
