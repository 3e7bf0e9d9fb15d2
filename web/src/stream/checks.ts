/** Records of live checks and of challenges as the server keeps them (docs/protocol.md, "Records of checks"). */

import { body, type Wire } from "./wire";

export type CheckRecord = Wire<"CheckBody">;
export type ChecksPage = Wire<"ChecksBody">;

export const readChecks = body("ChecksBody");
