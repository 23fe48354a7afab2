"""What is measured: Frechet, kernel, precision and recall, accuracy, on registered extractors."""
