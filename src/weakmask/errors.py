"""The exception for mistakes of the user."""


class UserError(Exception):
    """A fault in the user's input or configuration, or a folder that cannot be written.

    The message is one line with the value, the expected value and the action to take. The command line prints it
    without a traceback and ends with exit code 2; a program can catch it and continue with the other cases.
    """
