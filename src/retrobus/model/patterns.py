r"""The input rules as regular expressions for the API reference, in the syntax that Python and JavaScript share.

The service checks values with code of its own (`texts`, `quantities`), which also says what is wrong; a test compares
the two.
"""

from retrobus.model.limits import FIRST_YEAR, KEY, LAST_YEAR, PARC

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_CONTROL_BUT_LINES = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0"
)
_SCHEME = r"A-Za-z0-9+.\-"


def _filled(forbidden: str) -> str:
    """The pattern of a text without these characters that is not only spaces."""
    return rf"^[^{forbidden}]*[^\s{forbidden}][^{forbidden}]*$"


LINE = rf"^[^{_CONTROL}]*$"
"""One line of text."""

LINES = rf"^[^{_CONTROL_BUT_LINES}]*$"
"""Text of several lines."""

FILLED_LINE = _filled(_CONTROL)
NAME = rf"^[^{_CONTROL}{_INVISIBLE}]*$"
"""One line without invisible characters."""

FILLED_NAME = _filled(_CONTROL + _INVISIBLE)
MATRICULE = rf"^[^@{_CONTROL}{_INVISIBLE}]*$"
EMAIL = rf"^[^@\s{_CONTROL}{_INVISIBLE}]+@[^@\s.{_CONTROL}{_INVISIBLE}]+(\.[^@\s.{_CONTROL}{_INVISIBLE}]+)+$"
PARC_NAME = _filled("/" + _CONTROL + _INVISIBLE)
NO_SLASH = "^[^/]+$"
EVENT_ID = r"^[A-Za-z0-9._~\-]+$"
STORABLE = r"^[^\x00]*$"
TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
ADDRESS = (
    rf"^([Hh][Tt][Tt][Pp][Ss]?:[^{_CONTROL}]*|[^A-Za-z{_CONTROL}][^{_CONTROL}]*"
    rf"|[A-Za-z][{_SCHEME}]*([^{_SCHEME}:{_CONTROL}][^{_CONTROL}]*)?)?$"
)
"""An http or https address, or one without a scheme (`/uploads/920.jpg`)."""

IMAGE_DATA = rf"^data:image/[^{_CONTROL}]*$"
IDEMPOTENCY_KEY = r"^[\x21-\x7e]+$"
ETAGS = r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$'
CURSOR = r"^[A-Za-z0-9_\-]+$"

# Every day of the years 1800 to 2200 and no other: 2100-02-29 does not exist.
if (FIRST_YEAR, LAST_YEAR) != (1800, 2200):
    raise ValueError("the pattern of days is written for the years 1800 to 2200")
_YEAR = "(1[89][0-9][0-9]|2[01][0-9][0-9]|2200)"
_LEAP = "((18|19|21)(0[48]|[2468][048]|[13579][26])|20([02468][048]|[13579][26]))"
_MONTH_AND_DAY = (
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
)
_HOUR = "([01][0-9]|2[0-3]):[0-5][0-9]"
MOMENT = rf"^({_YEAR}-{_MONTH_AND_DAY}|{_LEAP}-02-29)([Tt ]{_HOUR}:[0-5][0-9](\.[0-9]{{1,9}})?([Zz]|[+\-]{_HOUR}))?$"

PARC_KEY = {"type": "string", "minLength": 1, "maxLength": PARC, "pattern": PARC_NAME}
PARC_NUMBER_MAX = 2**53
OR_INTEGER = {"type": ["string", "integer"], "minimum": -PARC_NUMBER_MAX, "maximum": PARC_NUMBER_MAX}
"""What a parc may be besides a text: some clients send it as a number."""

EVENT_KEY = {
    "type": "string",
    "minLength": 1,
    "maxLength": KEY,
    "pattern": EVENT_ID,
    "not": {"enum": [".", ".."]},
}
MEMBER_KEY = {"type": "string", "minLength": 1, "maxLength": KEY, "pattern": PARC_NAME}
NUMBER_KEY = {"type": "string", "pattern": "^[0-9]{1,18}$"}
"""The number of a tombstone or of a conflict."""
