/**
 * Checks values of unknown shape (parsed JSON) and types them. Each function takes the value and its path, and throws a
 * ShapeError that says what was expected there.
 */

export class ShapeError extends Error {
  override readonly name = "ShapeError";
}

export type Read<T> = (value: unknown, where: string) => T;

export const object: Read<Record<string, unknown>> = (value, where) => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw unexpected("an object", value, where);
  return value as Record<string, unknown>;
};

export const text: Read<string> = (value, where) => {
  if (typeof value !== "string") throw unexpected("a text", value, where);
  return value;
};

/** A finite number. */
export const number: Read<number> = (value, where) => {
  if (typeof value !== "number" || !Number.isFinite(value)) throw unexpected("a number", value, where);
  return value;
};

export const flag: Read<boolean> = (value, where) => {
  if (typeof value !== "boolean") throw unexpected("true or false", value, where);
  return value;
};

/** A number in [0, 1]. */
export const share: Read<number> = (value, where) => {
  const read = number(value, where);
  if (read < 0 || read > 1) throw unexpected("a number in [0, 1]", value, where);
  return read;
};

/** null if the value is null or absent. */
export const orNull =
  <T>(read: Read<T>): Read<T | null> =>
  (value, where) =>
    value === null || value === undefined ? null : read(value, where);

/** A list of at most `max` entries; our server never sends more. */
export const listOf =
  <T>(read: Read<T>, max = 1000): Read<readonly T[]> =>
  (value, where) => {
    if (!Array.isArray(value) || value.length > max) throw unexpected(`a list of at most ${max}`, value, where);
    return value.map((entry, index) => read(entry, `${where}[${index}]`));
  };

export const oneOf =
  <T extends string>(words: readonly T[]): Read<T> =>
  (value, where) => {
    const found = words.find((word) => word === value);
    if (found === undefined) throw unexpected(`one of ${words.join(", ")}`, value, where);
    return found;
  };

export function unexpected(expected: string, value: unknown, where: string): ShapeError {
  let received: string = typeof value;
  if (Array.isArray(value)) received = `a list of ${value.length}`;
  else if (typeof value === "string" || typeof value === "number") received = JSON.stringify(value).slice(0, 60);
  return new ShapeError(`${where}: expected ${expected}, received ${received}`);
}
