/**
 * Reads the server's JSON by the schemas of its own OpenAPI document (api.json and api.d.ts, which scripts/api_types.py
 * makes): what is of another shape is refused, and names are written as this page writes them: `began_s` is `beganS`.
 */

import type { components } from "./api";
import schemas from "./api.json";
import { flag, number, object, ShapeError, text, unexpected, type Read } from "./shape";

type Bodies = components["schemas"];

type Named<Key> = Key extends `${infer First}_${infer Rest}` ? `${First}${Capitalize<Named<Rest>>}` : Key;

type Renamed<T> = T extends readonly (infer Entry)[]
  ? readonly Renamed<Entry>[]
  : T extends object
    ? { readonly [Key in keyof T as Named<Key>]: Renamed<T[Key]> }
    : T;

/** The type of a body of the OpenAPI document on this page. */
export type Wire<Name extends keyof Bodies> = Renamed<Bodies[Name]>;

/** The JSON Schema keywords that the document uses. */
interface Schema {
  readonly $ref?: string;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly type?: string;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
}

const SCHEMAS = schemas as unknown as Readonly<Record<string, Schema>>;
const REF = "#/components/schemas/";

/** Returns the parser of a body. */
export function body<Name extends keyof Bodies>(name: Name): Read<Wire<Name>> {
  return (value, where) => read(named(name), value, where) as Wire<Name>;
}

function named(name: string): Schema {
  const found = SCHEMAS[name];
  if (found === undefined) throw new Error(`expected a schema named ${name} in api.json`);
  return found;
}

function read(schema: Schema, value: unknown, where: string): unknown {
  if (schema.$ref !== undefined) return read(named(schema.$ref.slice(REF.length)), value, where);
  if (schema.anyOf !== undefined) return readAny(schema.anyOf, value, where);
  if (schema.const !== undefined && value !== schema.const) throw unexpected(JSON.stringify(schema.const), value, where);
  if (schema.enum?.includes(value) === false) throw unexpected(`one of ${schema.enum.join(", ")}`, value, where);
  switch (schema.type) {
    case "object":
      return schema.properties === undefined ? object(value, where) : readProperties(schema, object(value, where), where);
    case "array":
      if (!Array.isArray(value)) throw unexpected("a list", value, where);
      return (value as unknown[]).map((entry, index) =>
        schema.items === undefined ? entry : read(schema.items, entry, `${where}[${index}]`),
      );
    case "string":
      return text(value, where);
    case "boolean":
      return flag(value, where);
    case "number":
    case "integer":
      return readNumber(schema, value, where);
    case "null":
      if (value !== null) throw unexpected("null", value, where);
      return null;
    case undefined:
    default:
      return value;
  }
}

/** Parses the first alternative that matches; otherwise throws the error of the last. */
function readAny(forms: readonly Schema[], value: unknown, where: string): unknown {
  let complaint = unexpected("a value", value, where);
  // Null is tried first, so that the error for another value names the other alternative.
  for (const form of forms.toSorted((a, b) => Number(b.type === "null") - Number(a.type === "null"))) {
    try {
      return read(form, value, where);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      complaint = error;
    }
  }
  throw complaint;
}

function readProperties({ properties = {}, required = [] }: Schema, from: Record<string, unknown>, where: string): unknown {
  const entries = Object.entries(properties).filter(([name]) => name in from || required.includes(name));
  return Object.fromEntries(
    entries.map(([name, schema]) => [
      name.replace(/_(\w)/g, (_, sign: string) => sign.toUpperCase()),
      read(schema, from[name], `${where}.${name}`),
    ]),
  );
}

function readNumber({ type, minimum, maximum }: Schema, value: unknown, where: string): number {
  const found = number(value, where);
  if (type === "integer" && !Number.isInteger(found)) throw unexpected("a whole number", value, where);
  if (minimum !== undefined && found < minimum) throw unexpected(`at least ${minimum}`, value, where);
  if (maximum !== undefined && found > maximum) throw unexpected(`at most ${maximum}`, value, where);
  return found;
}
