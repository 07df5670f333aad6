"""Master IA's engine: tenants, contacts, messages and campaigns in plain Python, with three doors on the roof.

Floors rest only on the floors below (`docs/architecture.md`); import-linter checks it.
"""
