"""The old module's calls, on novatrace's engine: `_core`, `_tgen` and `_profile`.

Programs written for it run unchanged. How it differs from the module it replaces is told in
`docs/MIGRATING.md`; new programs are better written with the package `novatrace`.
"""
