"""The provider of PyPI evaluates each flag when it is asked for, with the context of the call."""

import sys

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

base, keyed, refusing = sys.argv[1:]


def speaking(url):
    api.set_provider(OFREPProvider(url), url)
    return api.get_client(url)


client = speaking(base)
context = EvaluationContext("u1", {"item": "sku-9", "device": "mobile", "deep": {"passed": ["over"]}})

found = client.get_object_details("object", {}, context)
assert found.value == {"layout": "wide"}, found
assert found.variant in ("a", "b") and found.reason == Reason.SPLIT, found
assert len(found.flag_metadata["decision_id"]) == 32, found
assert client.get_string_value("text", "", context) == "red"
assert client.get_integer_value("integer", 0, context) == 7
assert client.get_float_value("number", 0.0, context) == 0.5
assert client.get_boolean_value("truth", False, context) is True
bare = client.get_string_details("bare", "", context)
assert bare.value == bare.variant, bare
off = client.get_string_details("off", "mine", context)
assert (off.value, off.reason) == ("control", Reason.DISABLED), off
won = client.get_string_details("won", "mine", context)
assert (won.value, won.reason) == ("winner", Reason.STATIC), won
assert client.get_string_value("default", "mine", context) == "mine"
again = client.get_object_details("object", {}, context)
assert again.flag_metadata["decision_id"] == found.flag_metadata["decision_id"]


def fails(client, key, context, code):
    details = client.get_string_details(key, "mine", context)
    assert (details.value, details.error_code) == ("mine", code), details


fails(client, "none", context, ErrorCode.FLAG_NOT_FOUND)
fails(client, "text", EvaluationContext(None, {"device": "mobile"}), ErrorCode.TARGETING_KEY_MISSING)
fails(client, "text", EvaluationContext("u1", {"device": ["mobile"]}), ErrorCode.INVALID_CONTEXT)
fails(client, "truth", context, ErrorCode.TYPE_MISMATCH)
fails(speaking(keyed), "text", context, ErrorCode.GENERAL)
fails(speaking(refusing + "/broken"), "text", context, ErrorCode.GENERAL)
busy = speaking(refusing + "/busy")
fails(busy, "text", context, ErrorCode.GENERAL)
refused = busy.get_string_details("text", "mine", context)
assert "paused due to TooManyRequests" in refused.error_message, refused
