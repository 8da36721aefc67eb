"""The one exception that a user is meant to see."""


class UserError(Exception):
    """A fault in what the user brought: input, configuration, or a place that cannot be written.

    The message is one clean line that says what came, what was expected and what to do. The command line prints
    it without a traceback and ends with exit code 2; a program catches it and goes on with the good cases.
    """
