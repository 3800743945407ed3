// What a page does for a session: one connection, one video, one data channel.
window.heard = [];
window.offer = async () => {
  const connection = (window.connection = new RTCPeerConnection());
  const channel = (window.channel = connection.createDataChannel("telefuser"));
  channel.onmessage = (event) => window.heard.push(JSON.parse(event.data));
  connection.addTransceiver("video", { direction: "recvonly" });
  connection.addTransceiver("audio", { direction: "recvonly" });
  const video = (window.video = document.createElement("video"));
  video.muted = true;
  video.srcObject = new MediaStream();
  connection.ontrack = (event) => {
    video.srcObject.addTrack(event.track);
    video.play();
  };
  await connection.setLocalDescription();
  await new Promise((resolve) => {
    connection.onicecandidate = (event) => event.candidate ?? resolve();
  });
  return connection.localDescription.sdp;
};
window.accept = (sdp) => window.connection.setRemoteDescription({ type: "answer", sdp });
window.shade = () => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  context.drawImage(window.video, 0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data[0];
};
window.facts = async () => {
  for (const each of (await window.connection.getStats()).values()) {
    if (each.type === "inbound-rtp" && each.kind === "video") {
      return { decoded: each.framesDecoded, lost: each.packetsLost, width: each.frameWidth };
    }
  }
};
