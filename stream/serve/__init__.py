"""The page in the browser: hands out the pictures of runs, and takes visitors' cameras.

`serving` is the entry. A `Room` is one source with its run; its viewers share one inference and one
painting. `session` is one open page, by a WebSocket; `webrtc` and `mjpeg` carry pictures; `guard`
says who may come in.
"""
