/** The composition root: the browser's own objects enter here and nowhere else. */

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { AccessToken } from "./stream/accessToken";
import { CheckStream } from "./stream/checkStream";
import { Server } from "./stream/server";
import type { Media } from "./stream/source";
import "./styles.css";

const root = document.getElementById("root");
if (root === null) throw new Error("expected an element with the id root in index.html");

// Both are absent in some browsers and on insecure addresses, which the DOM's types do not say.
const media = (navigator as { mediaDevices?: Media }).mediaDevices;
const Peer = (window as { RTCPeerConnection?: typeof RTCPeerConnection }).RTCPeerConnection;

const token = new AccessToken(() => window.sessionStorage);
const server = new Server(token, window.fetch.bind(window), window.location.origin);
const stream = new CheckStream({
  server,
  media,
  secure: window.isSecureContext,
  createPeer: Peer && ((configuration) => new Peer(configuration)),
  random: Math.random,
});
window.addEventListener("pagehide", () => {
  stream.stop();
});

createRoot(root).render(
  <StrictMode>
    <App server={server} stream={stream} token={token} media={media} />
  </StrictMode>,
);
