"""MLflow and DVC: the only modules that import those two."""
