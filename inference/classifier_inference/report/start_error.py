"""What a process raises that can't do its work, with the reason that the operator tells the user. No I/O."""

from classifier_inference.report.termination import Failure, Reason


class StartError(Exception):
    """Why this process can't do its work; retrying won't mend it."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(reason=reason, message=message)
