"""The description of the API: an OpenAPI document, and a page for people made from it."""
