"""Who is compared with whom: matched sets by every method, inside risk sets."""
