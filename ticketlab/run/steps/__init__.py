"""What is done in each kind of step: one module per kind."""
