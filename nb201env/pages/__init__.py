"""Pages of one HTML file that needs nothing else: the report's, and the space's explorer.

`html` puts a page together from a template and its assets; `space` gathers the numbers of a table's
space, which `space.js` draws. `shell.html`, `base.js` and `base.css` are every page's.
"""
