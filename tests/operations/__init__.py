"""A package, so that its fixtures end with it: a daemon that looks every second is not to go on for nothing."""
