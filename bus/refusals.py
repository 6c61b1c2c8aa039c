"""Why a message is not accepted: one class for each reason; its code is the dead letter's reason.

All are ``Unreadable``: repeating the same message cannot help, only a corrected one or, for
``unknown-type`` and ``unknown-schema-version``, a newer reader.
"""

from domain.errors import Refused


class Unreadable(Refused):
    """A message cannot be understood as what it claims to be."""

    code = "unreadable"


class MalformedJson(Unreadable):
    """The body is not JSON."""

    code = "malformed-json"


class NotAnObject(Unreadable):
    """The body is JSON, but not an object."""

    code = "not-an-object"


class TooLarge(Unreadable):
    """The body has too many bytes."""

    code = "too-large"


class TooDeep(Unreadable):
    """Objects and arrays are nested too deeply."""

    code = "too-deep"


class DuplicateKey(Unreadable):
    """An object names a member twice, so that readers may disagree on what it says."""

    code = "duplicate-key"


class NonFiniteNumber(Unreadable):
    """A number is NaN or infinite, which JSON does not have."""

    code = "non-finite-number"


class NumberTooLarge(Unreadable):
    """An integer does not fit into 64 bits, so that readers may disagree on its value."""

    code = "number-too-large"


class InvalidUnicode(Unreadable):
    """The text is not UTF-8, or holds half a character or NUL, which PostgreSQL cannot keep."""

    code = "invalid-unicode"


class UnsupportedMediaType(Unreadable):
    """The message is not a CloudEvent in JSON."""

    code = "unsupported-media-type"


class UnsupportedEncoding(Unreadable):
    """The body is compressed or otherwise encoded."""

    code = "unsupported-encoding"


class Inflated(Unreadable):
    """The body is compressed to less than a twentieth, which no honest report is."""

    code = "inflated"


class MissingAttribute(Unreadable):
    """The CloudEvent lacks an attribute that is needed, or it is empty or not a string."""

    code = "missing-attribute"


class UnsupportedSpecVersion(Unreadable):
    """The CloudEvent follows another version of the specification than 1.0."""

    code = "unsupported-specversion"


class UnknownType(Unreadable):
    """Nothing of this type can be said here."""

    code = "unknown-type"


class UnknownSchemaVersion(Unreadable):
    """The type is known, this version of its schema is not."""

    code = "unknown-schema-version"


class BadSchema(Unreadable):
    """The data does not follow the schema of its type."""

    code = "schema"


class BadTime(Unreadable):
    """A time is not RFC 3339 with an offset."""

    code = "bad-time"


class IdentityMismatch(Unreadable):
    """The data speaks for another agent than the one that sent it."""

    code = "identity-mismatch"


class MissingUserId(Unreadable):
    """The message does not say which user of the broker sent it, where all have to."""

    code = "missing-user-id"


class MissingSignature(Unreadable):
    """An agent has not signed its report, where all have to."""

    code = "missing-signature"


class BadSignature(Unreadable):
    """A report is signed, but not by the agent that it speaks for, or by a key that is revoked."""

    code = "bad-signature"


class ReplacedKey(Unreadable):
    """A report is signed with a key in whose place the agent was handed another one."""

    code = "replaced-key"


class Suspended(Unreadable):
    """Whoever sent it has offended too often, and is not heard for a while."""

    code = "suspended"


class SubjectMismatch(Unreadable):
    """The subject is another stream than the one the data speaks of."""

    code = "subject-mismatch"


class MissingMessageId(Unreadable):
    """The AMQP message has no message_id."""

    code = "missing-message-id"


class IdMismatch(Unreadable):
    """The AMQP message_id differs from the id of the CloudEvent."""

    code = "id-mismatch"


class RoutingKeyMismatch(Unreadable):
    """The routing key differs from the type of the CloudEvent."""

    code = "routing-key-mismatch"


class ForbiddenProperty(Unreadable):
    """The AMQP message has a property or header that could redirect, copy or expire it."""

    code = "forbidden-property"


class UnsafeTopology(Refused):
    """A queue could lose a message without a trace; the system does not start on it."""

    code = "unsafe-topology"
