// Sends a picture and a prompt to /v1/generate, and shows the video that comes back.
const by = (id) => document.getElementById(id);
const NUMBERS = ["num_frames", "steps", "guidance_scale"];

let film = null; // the address of the video that is shown

by("preset").addEventListener("change", () => {
  by("values").disabled = by("preset").value !== "";
});

by("image").addEventListener("change", () => {
  const [file] = by("image").files;
  by("preview").hidden = !file;
  if (file) by("preview").src = URL.createObjectURL(file);
});

by("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1000);
  const clock = setInterval(() => tell(`Making the video: ${seconds()} s`), 1000);
  by("start").disabled = true;
  by("result").hidden = true;
  tell("Making the video");
  try {
    show(await generate());
  } catch (error) {
    tell(error.message, true);
  } finally {
    clearInterval(clock);
    by("start").disabled = false;
  }
});

async function generate() {
  const headers = { "content-type": "application/json" };
  if (by("key").value) headers.authorization = `Bearer ${by("key").value}`;
  const body = JSON.stringify(await request());
  const answer = await fetch("/v1/generate", { method: "POST", headers, body });
  const made = await answer.json();
  if (!answer.ok) throw new Error(made.error?.message ?? made.error ?? `HTTP ${answer.status}`);
  return made;
}

async function request() {
  const asked = {
    image_base64: await read(by("image").files[0]),
    prompt: by("prompt").value,
    fps: Number(by("fps").value),
    output_format: by("output_format").value,
  };
  if (by("preset").value) return { ...asked, preset: by("preset").value };
  const values = Object.fromEntries(NUMBERS.map((name) => [name, Number(by(name).value)]));
  return { ...asked, resolution: by("resolution").value, ...values };
}

function read(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error("The picture cannot be read"));
    reader.readAsDataURL(file);
  });
}

function show(made) {
  const isGif = made.download_url.endsWith(".gif");
  const bytes = Uint8Array.from(atob(made.video_base64), (letter) => letter.charCodeAt(0));
  if (film) URL.revokeObjectURL(film);
  film = URL.createObjectURL(new Blob([bytes], { type: isGif ? "image/gif" : "video/mp4" }));
  const element = document.createElement(isGif ? "img" : "video");
  Object.assign(element, isGif ? { alt: "The video" } : { controls: true, autoplay: true, loop: true, muted: true });
  element.src = film;
  by("film").replaceChildren(element);
  by("download").href = film;
  by("download").download = made.download_url.split("/").pop();
  const { resolution, num_frames } = made.parameters;
  by("facts").textContent = `${resolution}, ${num_frames} frames, made in ${made.inference_time_s} s`;
  by("result").hidden = false;
  tell("");
}

function tell(text, isFailure = false) {
  by("state").textContent = text;
  by("state").classList.toggle("failed", isFailure);
}
