"""The face: settings, commands, apply, the local house and the demo."""
