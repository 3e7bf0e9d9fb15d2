import type { ModelList } from "../modelCards";

interface Props {
  readonly models: ModelList;
  readonly chosen: ReadonlySet<string>;
  readonly onChoose: (chosen: ReadonlySet<string>) => void;
}

/** Checkboxes for the models to judge by. */
export function ModelTicks({ models: { models, judging }, chosen, onChoose }: Props) {
  const turn = (name: string, wanted: boolean): void => {
    const others = [...chosen].filter((one) => one !== name);
    onChoose(new Set(wanted ? [...others, name] : others));
  };
  return (
    <fieldset data-testid="models">
      <legend className="text-sm text-muted">Analysed by</legend>
      <div className="flex flex-wrap gap-x-6 gap-y-1">
        {models.map(({ name, title }) => (
          <label key={name} className="flex min-h-11 cursor-pointer items-center gap-3 py-1">
            <input
              type="checkbox"
              value={name}
              checked={chosen.has(name)}
              onChange={(event) => {
                turn(name, event.target.checked);
              }}
              className="size-4 shrink-0 accent-ink"
            />
            <span>
              {title}
              {name === judging && <span className="text-sm text-muted"> (used for live checks)</span>}
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
