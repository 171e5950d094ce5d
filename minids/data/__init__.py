"""Corpora: manifests, importers of known layouts, and the doctor that looks for what would hurt."""
