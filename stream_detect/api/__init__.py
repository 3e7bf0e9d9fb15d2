"""HTTP: one module a resource, the page, and who may come in. Async edges; the work is done in the rooms below."""
