"""What every role stands on."""
