"""Pictures of the report's page at three widths and in print, and how far two of them are apart.

    python -m tests.screens write      takes them anew and stores them: look at them before you commit them
    python -m tests.screens compare    says how far the page is from what is stored; its pictures go to --out

`bench` makes the searches, `taking` takes the pictures of their report, `comparing` compares.
"""
