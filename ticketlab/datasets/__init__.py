"""Image sets: one file per family, limited-data subsets, batches that live on the device."""
