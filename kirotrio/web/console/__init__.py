"""The pages. Each is a small file with its ROUTES; `all_pages` lists them, `guarding` says who may see one."""
