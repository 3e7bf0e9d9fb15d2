/** Analyses as the server tells of them. */

export const ID = "0192aaaa0000000000000000000000aa";

export const FILE = {
  name: "clip.mp4",
  bytes: 123456,
  sha256: "cd".repeat(32),
  kind: "video",
  width: 1280,
  height: 720,
  duration_s: 31.2,
  fps: 29.97,
  codec: "h264",
};

export function wireAnalysis(change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: ID,
    state: "done",
    problem: "",
    created_s: 1795300000,
    started_s: 1795300000.2,
    ended_s: 1795300020,
    done_share: 1,
    eta_s: null,
    file: FILE,
    url: "",
    models: [{ name: "meso4", sha256: "ab".repeat(32) }],
    rate_hz: 5,
    verdict: null,
    same_as: null,
    credentials: null,
    ...change,
  };
}

export function wireReview(name = "meso4"): Record<string, unknown> {
  const face = { track: 1, box: [1, 2, 3, 4], state: "fake", rejected: null };
  return {
    model: {
      name,
      title: `The model ${name}`,
      sha256: "ab".repeat(32),
      terms: "research",
      limits: ["Blur misleads it."],
      thresholds: { fake_enter: 0.9, fake_leave: 0.7, real_enter: 0.15, real_leave: 0.35 },
    },
    verdict: { state: "fake", reason: "face 1 was called fake for 12.4 of 31.2 s", fake_probability: 0.93 },
    tracks: [
      {
        track: 1,
        state: "fake",
        reason: "called fake",
        fake_probability: 0.93,
        from_s: 0.2,
        to_s: 31,
        admitted: 140,
        refused: { blurred: 3 },
      },
    ],
    frames: [
      { time_s: 0, state: "gathering", fake_probability: null, faces: [{ ...face, score: null, fake_probability: null }] },
      { time_s: 0.2, state: "fake", fake_probability: 0.93, faces: [{ ...face, score: 0.97, fake_probability: 0.93 }] },
    ],
    flagged: [
      { n: 1, time_s: 0.2, track: 1, box: [1, 2, 3, 4], score: 0.97 },
      { n: 2, time_s: 5.4, track: 1, box: [1, 2, 3, 4], score: 0.95, map: false },
    ],
  };
}

export function wireResults(names: readonly string[] = ["meso4"]): Record<string, unknown> {
  return { id: ID, file: FILE, rate_hz: 5, sampled: 2, models: names.map(wireReview) };
}
