"""Datasets: manifests, importers, validation, batches, augmentation, noise, and the feature cache."""
