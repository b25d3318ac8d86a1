"""The rules of Acme: each folder is a family, each file a rule."""
