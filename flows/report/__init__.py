"""From a release's disclosed values to the pages people read."""
