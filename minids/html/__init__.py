"""Web pages that are one file: style and script are inside, nothing is loaded from the network."""
