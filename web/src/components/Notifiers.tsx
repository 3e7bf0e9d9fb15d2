import { useCallback, useState } from "react";
import { useResource } from "../resource";
import { useMay } from "../roles";
import { useServices } from "../services";
import { asFailure } from "../stream/failure";
import type { Notifier } from "../stream/events";
import { asSentence } from "../words";
import { Button } from "./Button";
import { Failed, Loading } from "./ListState";

const KINDS: Readonly<Record<Notifier["kind"], string>> = { webhook: "webhook", mqtt: "MQTT" };
const STATES: Readonly<Record<Notifier["state"], string>> = { ok: "Working", failing: "Failing", connecting: "Connecting" };

/** The notifiers with their state, each with a button for a test alert. */
export function Notifiers() {
  const { cameras } = useServices();
  const [notifiers, reload] = useResource(useCallback(() => cameras.notifiers(), [cameras]));
  return (
    <details data-testid="alerts" className="panel">
      <summary className="rounded-lg p-4">
        <span className="font-semibold">Notifications</span>
        {notifiers.state === "ready" && <span className="ml-3 text-sm text-muted">{summary(notifiers.value)}</span>}
      </summary>
      <div className="space-y-3 px-4 pb-4">
        {notifiers.state === "loading" && <Loading>Loading …</Loading>}
        {notifiers.state === "failed" && (
          <Failed what="The notifiers could not be loaded." failure={notifiers.failure} retrying={notifiers.retrying} onRetry={reload} />
        )}
        {notifiers.state === "ready" && notifiers.value.length === 0 && (
          <p>None yet. Add webhooks or an MQTT broker under “alerts” in the server&apos;s settings file (see docs/operations.md).</p>
        )}
        {notifiers.state === "ready" && (
          <ul className="space-y-3">
            {notifiers.value.map((notifier) => (
              <NotifierRow key={notifier.name} notifier={notifier} onTested={reload} />
            ))}
          </ul>
        )}
      </div>
    </details>
  );
}

function NotifierRow({ notifier, onTested }: { readonly notifier: Notifier; readonly onTested: () => void }) {
  const { cameras } = useServices();
  const mayTest = useMay("operator");
  const [testing, setTesting] = useState(false);
  const [outcome, setOutcome] = useState("");
  const test = async (): Promise<void> => {
    setTesting(true);
    setOutcome("");
    try {
      const { ok, detail } = await cameras.testAlert(notifier.name);
      setOutcome(`${ok ? "It arrived." : "It did not arrive."} ${asSentence(detail)}`);
    } catch (error) {
      setOutcome(`Not sent. ${asSentence(asFailure(error).detail)}`);
    }
    setTesting(false);
    onTested();
  };
  return (
    <li
      data-testid="notifier"
      data-state={notifier.state}
      className="flex flex-wrap items-center gap-x-4 gap-y-2 border-t border-edge pt-3"
    >
      <div className="min-w-0 flex-1 basis-56">
        <p>
          <span className="font-semibold">{notifier.name}</span> <span className="text-muted">{KINDS[notifier.kind]}</span>
        </p>
        <p className="text-sm">
          {STATES[notifier.state]}
          {notifier.detail !== "" && `: ${notifier.detail}`}
        </p>
        <p className="text-sm text-muted">
          {notifier.delivered} delivered, {notifier.failed} failed, {notifier.waiting} waiting
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

function summary(notifiers: readonly Notifier[]): string {
  if (notifiers.length === 0) return "none configured";
  const failing = notifiers.filter(({ state }) => state === "failing").length;
  const count = `${notifiers.length} ${notifiers.length === 1 ? "notifier" : "notifiers"}`;
  return failing === 0 ? count : `${count}, ${failing} failing`;
}
