"""Programs that were written for TeleFuser find their imports here."""
