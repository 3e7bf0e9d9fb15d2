/** Routes for analyses (docs/protocol.md, "Analyses of uploads"). Failures are StreamFailure. */

import {
  analysisQuery,
  NOT_ANNOTATED,
  readAnalyses,
  readAnalysis,
  readAnnotated,
  readSubmitted,
  type Analysis,
  type AnalysisFilter,
  type AnalysisPage,
  type Annotated,
} from "./analyses";
import { readResults, type Results } from "./analysisResults";
import { asFailure } from "./failure";
import type { Http } from "./http";

/** Results of hours of video, and videos, take long to transfer. */
const LONG_TIMEOUT_MS = 600_000;
/** Analyses per page. */
export const ANALYSES_LENGTH = 25;

export type Report = "html" | "json" | "csv";

export class AnalysisServer {
  constructor(private readonly http: Http) {}

  /** Whether elements (video, img, links), which cannot send an access token, may load files. */
  get open(): boolean {
    return !this.http.sendsToken;
  }

  /** The URL of a file, for elements that load it themselves: a proxy may serve the page under a path prefix. */
  address(path: string): string {
    return this.http.address(path);
  }

  async page(filter: AnalysisFilter, cursor: string | null = null): Promise<AnalysisPage> {
    const query = analysisQuery(filter);
    query.set("limit", String(ANALYSES_LENGTH));
    if (cursor !== null) query.set("cursor", cursor);
    return this.http.read(`/api/analyses?${query}`, readAnalyses);
  }

  async analysis(id: string): Promise<Analysis> {
    return this.http.read(analysisPath(id), readAnalysis);
  }

  /** Makes the server fetch and analyse a file. @param models names of the bundles to judge by; empty: the model in use */
  async submitAddress(url: string, models: readonly string[]): Promise<readonly Analysis[]> {
    return this.http.send("POST", "/api/analyses", { url, models }, readSubmitted);
  }

  async results(id: string): Promise<Results> {
    return this.http.read(analysisPath(id, "/results"), readResults, { timeoutMs: LONG_TIMEOUT_MS });
  }

  async cancel(id: string): Promise<Analysis> {
    return this.http.send("POST", analysisPath(id, "/cancel"), undefined, readAnalysis);
  }

  async remove(id: string): Promise<void> {
    await this.http.request(analysisPath(id), { method: "DELETE" });
  }

  async annotated(id: string, model: string): Promise<Annotated> {
    try {
      return await this.http.read(analysisPath(id, `/annotated?${modelQuery(model)}`), readAnnotated);
    } catch (error) {
      if (asFailure(error).code === "not-found") return NOT_ANNOTATED;
      throw error;
    }
  }

  async annotate(id: string, model: string): Promise<Annotated> {
    return this.http.send("POST", analysisPath(id, `/annotated?${modelQuery(model)}`), undefined, readAnnotated);
  }

  async file(path: string, signal?: AbortSignal): Promise<Blob> {
    const response = await this.http.request(path, { timeoutMs: LONG_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) });
    return response.blob();
  }
}

export function analysisPath(id: string, rest = ""): string {
  return `/api/analyses/${encodeURIComponent(id)}${rest}`;
}

export function mediaPath(id: string): string {
  return analysisPath(id, "/media");
}

export function flaggedPath(id: string, model: string, n: number, map = false): string {
  return analysisPath(id, `/flagged/${n}${map ? "-map" : ""}.jpg?${modelQuery(model)}`);
}

export function annotatedPath(id: string, model: string, kind: "image" | "video"): string {
  return analysisPath(id, `/annotated.${kind === "image" ? "jpg" : "mp4"}?${modelQuery(model)}`);
}

export function reportPath(id: string, report: Report): string {
  return analysisPath(id, `/report.${report}`);
}

function modelQuery(model: string): string {
  return new URLSearchParams({ model }).toString();
}
