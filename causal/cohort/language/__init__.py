"""The language of definitions: what each says, what is wrong with it, and how it is computed."""
