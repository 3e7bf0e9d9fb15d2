import { useState, type SubmitEvent } from "react";
import { useServices } from "../services";
import { asFailure, type StreamFailure } from "../stream/failure";
import { asSentence } from "../words";
import { Button } from "./Button";
import { Field, INPUT } from "./Field";

interface Props {
  readonly disabled: boolean;
  /** names of the bundles to judge by */
  readonly models: readonly string[];
}

/** A form for the address of a file, which the server fetches. */
export function AddressForm({ disabled, models }: Props) {
  const { analyses, uploads } = useServices();
  const [address, setAddress] = useState("");
  const [sending, setSending] = useState(false);
  const [failure, setFailure] = useState<StreamFailure | null>(null);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (disabled || sending) return;
    setSending(true);
    setFailure(null);
    try {
      uploads.tell(await analyses.submitAddress(address.trim(), models));
      setAddress("");
    } catch (error) {
      setFailure(asFailure(error));
    }
    setSending(false);
  };
  return (
    <form data-testid="address-form" onSubmit={(event) => void submit(event)} className="space-y-2">
      <div className="flex flex-wrap items-end gap-3">
        <div className="min-w-0 flex-1 basis-60">
          <Field label="Or the address of a video or picture (this server fetches it)">
            <input
              type="url"
              required
              inputMode="url"
              placeholder="https://"
              autoComplete="off"
              maxLength={2048}
              value={address}
              onChange={(event) => {
                setAddress(event.target.value);
              }}
              className={INPUT}
            />
          </Field>
        </div>
        <Button submit disabled={disabled || sending}>
          {sending ? "Sending …" : "Fetch and analyse"}
        </Button>
      </div>
      {failure !== null && (
        <p role="alert" className="text-sm font-semibold">
          {`The address was not accepted. ${asSentence(failure.detail)}`}
        </p>
      )}
    </form>
  );
}
