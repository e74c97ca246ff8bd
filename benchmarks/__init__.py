"""What reading and writing costs, beside the shortest code that does the same without contracts."""
