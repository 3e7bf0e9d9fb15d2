/** Formats Unix times and durations in this browser's language and time zone. */

/** "14:03:22" */
export function clock(atS: number, withSeconds = true): string {
  return new Date(atS * 1000).toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    ...(withSeconds ? { second: "2-digit" } : {}),
  });
}

/** "22 Nov, 14:03:22", with the year if it is not the current one */
export function moment(atS: number, nowS: number = Date.now() / 1000): string {
  const at = new Date(atS * 1000);
  const sameYear = at.getFullYear() === new Date(nowS * 1000).getFullYear();
  const day = at.toLocaleDateString([], { day: "numeric", month: "short", ...(sameYear ? {} : { year: "numeric" }) });
  return `${day}, ${clock(atS)}`;
}

/** "48 s", "12 min 5 s", "3 h 20 min", "2 d 4 h" */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return two(whole, 60, "min", 1, "s");
  if (whole < 86_400) return two(whole, 3600, "h", 60, "min");
  return two(whole, 86_400, "d", 3600, "h");
}

function two(whole: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((whole % large) / small);
  return `${Math.floor(whole / large)} ${largeUnit}${rest === 0 ? "" : ` ${rest} ${smallUnit}`}`;
}

/** Converts to and from the value of an `input type="datetime-local"`; "" for none. */
export function localInput(atS: number | null): string {
  if (atS === null) return "";
  const at = new Date(atS * 1000);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function fromLocalInput(value: string): number | null {
  const ms = new Date(value).getTime();
  return Number.isNaN(ms) ? null : ms / 1000;
}

/** A position in a video: "0:12", "1:02:03", with tenths "0:12.4" */
export function mediaTime(seconds: number, digits = 0): string {
  const tick = 10 ** digits;
  const whole = Math.max(0, Math.round(seconds * tick)) / tick;
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  const rest = (whole % 60).toFixed(digits).padStart(digits === 0 ? 2 : 3 + digits, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}
