import { hrefOf } from "../route";

interface Props {
  readonly limits: readonly string[];
  /** What the verdict is based on. */
  readonly basis?: string;
}

/** What a verdict does and does not mean, one click away from it. */
export function Limits({ limits, basis = "the last seconds of video" }: Props) {
  return (
    <details data-testid="limits" className="text-sm">
      <summary>What this verdict does and does not mean</summary>
      <div className="mt-2 space-y-2">
        <p>It is a model&apos;s estimate from {basis}, and it can be wrong in either direction. It does not prove who somebody is.</p>
        {limits.length > 0 && (
          <ul className="list-disc space-y-1 pl-5">
            {limits.map((limit) => (
              <li key={limit}>{limit}</li>
            ))}
          </ul>
        )}
        <p>
          <a href={hrefOf({ page: "models" })} className="underline">
            How the model was trained and measured
          </a>
        </p>
      </div>
    </details>
  );
}
