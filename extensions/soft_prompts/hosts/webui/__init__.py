"""text-generation-webui as a host: the only rooms that know its `modules`.

`host` is what its hooks call, `following` sees models come and go, `transformers` and `refused` are the loaders,
`contract` is the list of all that is used of the webui; `budget`, `shelter`, `settings` and `display` know text, ids
and files only; `deploy` installs.
"""
