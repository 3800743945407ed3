"""Sessions over WebRTC: negotiation, tracks and the data channel of one connection each."""
