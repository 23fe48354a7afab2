"""What may be asked: a module per section of the YAML."""
