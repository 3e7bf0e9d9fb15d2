/** Records of live checks and challenges (docs/protocol.md, "Records of checks"). */

import { body, type Wire } from "./wire";

export type CheckRecord = Wire<"CheckBody">;
export type ChecksPage = Wire<"ChecksBody">;

export const readChecks = body("ChecksBody");
