"""From a number to its bill lines and from a bill line to its users, answered by the published warehouse."""

from farthing.explain.charge import explain_charge
from farthing.explain.facts import NotFoundError
from farthing.explain.request import explain_request
from farthing.explain.user import explain_user

__all__ = ["NotFoundError", "explain_charge", "explain_request", "explain_user"]
