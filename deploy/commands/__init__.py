"""Commands of `lienthong`: each module here has an `app`, which `deploy.cli` puts together.

An app with a name becomes a group (`lienthong dead-letters list`), one without gives its commands to the top.
"""
