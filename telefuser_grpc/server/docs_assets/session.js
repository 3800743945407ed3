// Opens a session over WebRTC, shows its picture, and sends the keys and buttons that are held.
const by = (id) => document.getElementById(id);
const BUTTONS = [...document.querySelectorAll("[data-key]")];
const ALL_KEYS = BUTTONS.map((button) => button.dataset.key);
const ARROWS = { ArrowUp: ["w"], ArrowDown: ["s"], ArrowLeft: ["j", "a"], ArrowRight: ["l", "d"] };
const LARGEST_IMAGE = 10 * 2 ** 20;
const GATHERING_MS = 3000;
const GOODBYE_MS = 1000;
const LOG_LINES = 200;
const TOLD = {
  runtime_ready: "Ready: hold a key to walk",
  generating_chunk: "Making the next pictures",
  chunk_sent: "",
};

let attempts = 0; // counts starts and stops: a start that was stopped tells of no failure
let session = null; // the connection, its channel and its id, while there is one
let known = ALL_KEYS; // the keys that the world obeys
const held = new Map(); // what holds a key down: the key, by the name of a button, pointer or key

by("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const attempt = ++attempts;
  by("start").disabled = true;
  tell("Connecting");
  try {
    await open();
  } catch (error) {
    if (attempt !== attempts) return;
    close();
    tell(error.message, true);
  }
});

by("stop").addEventListener("click", () => {
  tell("Stopped");
  stop();
});

document.addEventListener("keydown", (event) => {
  const key = keyOf(event);
  if (!key) return;
  event.preventDefault();
  if (!event.repeat) hold(event.code, key);
});
document.addEventListener("keyup", (event) => release(event.code));
window.addEventListener("blur", releaseAll);
window.addEventListener("pagehide", stop);
document.addEventListener("visibilitychange", () => document.hidden && releaseAll());

for (const button of BUTTONS) {
  const name = (event) => `pointer ${event.pointerId}`;
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    hold(name(event), button.dataset.key);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    button.addEventListener(end, (event) => release(name(event)));
  }
  button.addEventListener("contextmenu", (event) => event.preventDefault());
}

async function open() {
  const asked = await request();
  const connection = new RTCPeerConnection();
  const channel = connection.createDataChannel("telefuser");
  const mine = { connection, channel, id: "" };
  session = mine;
  by("stop").disabled = false;
  listen(mine);
  connection.addTransceiver("video", { direction: "recvonly" });
  if (by("sound").checked) connection.addTransceiver("audio", { direction: "recvonly" });
  await connection.setLocalDescription(await connection.createOffer());
  await gathered(connection);
  const answer = await offer({ ...asked, sdp: connection.localDescription.sdp, type: "offer" });
  if (session !== mine) return end(answer.session_id); // stopped meanwhile
  mine.id = answer.session_id;
  await connection.setRemoteDescription({ type: answer.type, sdp: answer.sdp });
}

function listen(mine) {
  const { connection, channel } = mine;
  const shown = new MediaStream();
  connection.addEventListener("track", ({ track }) => {
    shown.addTrack(track);
    by("video").srcObject = shown;
  });
  connection.addEventListener("connectionstatechange", () => {
    if (session === mine && connection.connectionState === "failed") {
      close();
      tell("The connection is lost", true);
    }
  });
  channel.addEventListener("open", () => {
    tell("Connected");
    enable();
    by("video").focus({ preventScroll: true }); // not to type into a field
  });
  channel.addEventListener("message", ({ data }) => session === mine && hear(JSON.parse(data)));
  channel.addEventListener("close", () => {
    if (session !== mine) return;
    close();
    if (!by("state").classList.contains("failed")) tell("The session has ended");
  });
}

async function request() {
  const asked = { task: "world", prompt: by("prompt").value || undefined };
  if (by("seed").value) asked.config = { seed: Number(by("seed").value) };
  const [file] = by("image").files;
  if (!file) return asked;
  if (file.size > LARGEST_IMAGE) throw new Error("The picture is larger than 10 MiB");
  return { ...asked, image: await read(file) };
}

async function offer(body) {
  const headers = { "content-type": "application/json", ...authorization() };
  const sent = { method: "POST", headers, body: JSON.stringify(body) };
  const answer = await fetch("/v1/stream/webrtc/offer", sent);
  const made = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(reason(made) ?? `HTTP ${answer.status}`);
  return made;
}

function end(id) {
  const sent = { method: "DELETE", headers: authorization(), keepalive: true };
  return fetch(`/v1/stream/sessions/${encodeURIComponent(id)}`, sent).catch(() => {});
}

function authorization() {
  return by("key").value ? { authorization: `Bearer ${by("key").value}` } : {};
}

function reason({ detail, error }) {
  if (Array.isArray(detail)) return detail.map(({ loc, msg }) => `${loc.at(-1)}: ${msg}`).join("; ");
  return detail ?? error?.message ?? error;
}

function gathered(connection) {
  if (connection.iceGatheringState === "complete") return undefined;
  return new Promise((resolve) => {
    setTimeout(resolve, GATHERING_MS);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState === "complete") resolve();
    });
  });
}

function hear(message) {
  const told = message.data ?? {};
  log(message);
  if (message.error) return tell(message.error, true);
  if (message.type === "done") return tell(`The session has made all it can: ${message.total_chunks} chunks`);
  if (told.type === "error") return tell(told.error, true);
  if (told.stage === "control_ignored") return tell(told.message, true);
  if (told.stage === "runtime_ready" && told.keys) enable(told.keys);
  if (told.stage in TOLD) tell(TOLD[told.stage]);
  if (told.stream_progress) show(told.stream_progress);
  return undefined;
}

function show({ generated_frames: made, target_frames: all, generated_duration_seconds: seconds, target_duration_seconds: most }) {
  by("progress").hidden = false;
  by("progress").value = made / all;
  by("progress").title = `${seconds} of ${most} seconds`;
}

function stop() {
  if (!session) return;
  attempts += 1;
  const { connection, channel, id } = session;
  session = null;
  if (channel.readyState === "open") {
    channel.addEventListener("close", () => connection.close());
    channel.send(JSON.stringify({ type: "stop" }));
    setTimeout(() => connection.close(), GOODBYE_MS);
  } else {
    connection.close();
    if (id) end(id);
  }
  close();
}

function close() {
  session?.connection.close();
  session = null;
  held.clear();
  known = [];
  by("start").disabled = false;
  by("stop").disabled = true;
  by("progress").hidden = true;
  by("turn").hidden = false;
  paint();
}

function enable(keys = ALL_KEYS) {
  known = keys;
  by("turn").hidden = !["i", "j", "k", "l"].some((key) => keys.includes(key));
  paint();
}

function keyOf({ code, target, ctrlKey, metaKey, altKey }) {
  const isTyping = target instanceof Element && target.closest("input, textarea, select");
  if (!session || isTyping || ctrlKey || metaKey || altKey) return undefined;
  const focused = target instanceof Element && target.closest("[data-key]");
  if (focused && (code === "Space" || code === "Enter")) return focused.dataset.key;
  const candidates = ARROWS[code] ?? [code.replace(/^Key/, "").toLowerCase()];
  return candidates.find((key) => known.includes(key));
}

function hold(name, key) {
  if (!known.includes(key)) return;
  held.set(name, key);
  send();
}

function release(name) {
  if (held.delete(name)) send();
}

function releaseAll() {
  if (!held.size) return;
  held.clear();
  send();
}

function send() {
  paint();
  if (session?.channel.readyState !== "open") return;
  session.channel.send(JSON.stringify({ type: "control_state", controls: keys() }));
}

function keys() {
  return [...new Set(held.values())];
}

function paint() {
  const down = keys();
  const isOpen = session?.channel.readyState === "open";
  for (const button of BUTTONS) {
    button.disabled = !isOpen || !known.includes(button.dataset.key);
    button.setAttribute("aria-pressed", String(down.includes(button.dataset.key)));
  }
}

function read(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error("The picture cannot be read"));
    reader.readAsDataURL(file);
  });
}

function log(message) {
  const line = document.createElement("li");
  line.textContent = JSON.stringify(message);
  by("log").prepend(line);
  if (by("log").children.length > LOG_LINES) by("log").lastChild.remove();
}

function tell(text, isFailure = false) {
  if (by("state").textContent === text) return;
  by("state").textContent = text;
  by("state").classList.toggle("failed", isFailure);
}
