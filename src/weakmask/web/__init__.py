"""A page in which a result is scrolled: one file that asks nothing of the network.

`viewer_page`    volumes and a table -> the HTML file
`page_volumes`   volumes made small enough for a page
`vendor/`        NiiVue, which draws, pinned, with its licence
"""
