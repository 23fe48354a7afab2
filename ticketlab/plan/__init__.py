"""From a spec to ordered steps with digests: pure, torch-free."""
