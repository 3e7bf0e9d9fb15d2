/** The composition root: the only module that uses the browser's global objects. */

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import type { Services } from "./services";
import { AccessServer } from "./stream/access";
import { AccessToken } from "./stream/accessToken";
import { AnalysisProgress } from "./stream/analysisProgress";
import { AnalysisServer } from "./stream/analysisServer";
import { CameraResults } from "./stream/cameraResults";
import { CameraServer } from "./stream/cameraServer";
import { CheckStream } from "./stream/checkStream";
import { Fleet } from "./stream/fleet";
import { Http } from "./stream/http";
import { Identity } from "./stream/identity";
import { Pictures } from "./stream/pictures";
import { Server } from "./stream/server";
import type { Media } from "./stream/source";
import { Uploads } from "./stream/uploads";
import { WhepPlayer } from "./stream/whepPlayer";
import "./styles.css";

const root = document.getElementById("root");
if (root === null) throw new Error("expected an element with the id root in index.html");

// Both are missing in some browsers and on insecure addresses, unlike the DOM's types suggest.
const media = (navigator as { mediaDevices?: Media }).mediaDevices;
const Peer = (window as { RTCPeerConnection?: typeof RTCPeerConnection }).RTCPeerConnection;

const token = new AccessToken(() => window.sessionStorage);
const http = new Http(token, window.fetch.bind(window), document.baseURI);
const server = new Server(http);
const cameras = new CameraServer(http);
const createPeer = Peer && ((configuration: RTCConfiguration) => new Peer(configuration));
const random = Math.random;
const stream = new CheckStream({ server, media, secure: window.isSecureContext, createPeer, random });
const player = new WhepPlayer({ http, iceServers: async () => (await server.status()).iceServers, createPeer, random });
const access = new AccessServer(http);
const services: Services = {
  access,
  identity: new Identity(http, access, token),
  server,
  cameras,
  fleet: new Fleet(http, cameras, random),
  player,
  pictures: new Pictures(cameras),
  resultsOf: (camera, staleS) => new CameraResults(http, camera, staleS, random),
  analyses: new AnalysisServer(http),
  uploads: new Uploads(token, () => new XMLHttpRequest(), document.baseURI),
  progressOf: (analysis, listener) => new AnalysisProgress(http, analysis, listener, random),
};
window.addEventListener("pagehide", () => {
  stream.stop();
  player.stop();
});
window.addEventListener("beforeunload", (event) => {
  // Unfinished uploads would be lost.
  if (services.uploads.snapshot().some(({ state }) => state !== "failed")) event.preventDefault();
});

createRoot(root).render(
  <StrictMode>
    <App services={services} stream={stream} token={token} media={media} />
  </StrictMode>,
);
