"""What stands in a label map where no class is known."""

UNLABELLED = 255
"""Such pixels count nowhere."""
