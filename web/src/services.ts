/** The services that pages use, created at the composition root. */

import { createContext, useContext } from "react";
import type { AccessServer } from "./stream/access";
import type { AnalysisProgress, ProgressListener } from "./stream/analysisProgress";
import type { AnalysisServer } from "./stream/analysisServer";
import type { CameraResults } from "./stream/cameraResults";
import type { CameraServer } from "./stream/cameraServer";
import type { Fleet } from "./stream/fleet";
import type { Identity } from "./stream/identity";
import type { Pictures } from "./stream/pictures";
import type { Server } from "./stream/server";
import type { Uploads } from "./stream/uploads";
import type { WhepPlayer } from "./stream/whepPlayer";

export interface Services {
  readonly access: AccessServer;
  readonly identity: Identity;
  readonly server: Server;
  readonly cameras: CameraServer;
  readonly fleet: Fleet;
  /** The only live picture of the whole page. */
  readonly player: WhepPlayer;
  readonly pictures: Pictures;
  readonly resultsOf: (camera: string, staleS: number) => CameraResults;
  readonly analyses: AnalysisServer;
  readonly uploads: Uploads;
  readonly progressOf: (analysis: string, listener: ProgressListener) => AnalysisProgress;
}

export const ServicesContext = createContext<Services | null>(null);

export function useServices(): Services {
  const services = useContext(ServicesContext);
  if (services === null) throw new Error("expected a ServicesContext around the page");
  return services;
}
