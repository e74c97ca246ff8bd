"""What the demo learns from its flights."""
