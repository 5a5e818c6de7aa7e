"""County profiles, a folder each, and the commands that help to make one. docs/bring-your-own-county.md."""
