"""OpenTelemetry's propagator for JavaScript and our records understand each other's trace contexts."""

from tests.support.tools.cases import SPAN_ID, TRACE_ID, all_cases
from tests.support.tools.running import Report
from triptych.contract.codec.trace_context import TraceContext, is_sampled, trace_context


def test_the_propagator_extracts_what_we_pass_on(node: Report) -> None:
    for case in all_cases()["carriers"]:
        parent, state = trace_context(case["headers"])
        assert parent is not None
        assert node["extracted"][case["name"]] == {
            "traceId": TRACE_ID,
            "spanId": SPAN_ID,
            "traceFlags": int(is_sampled(parent)),
            **({"traceState": state} if state else {}),
        }


def test_we_accept_what_the_propagator_injects(node: Report) -> None:
    for case in all_cases()["spans"]:
        flags, state = case["traceFlags"], case["traceState"]
        read = trace_context(node["injected"][case["name"]]["headers"])
        assert read == TraceContext(f"00-{TRACE_ID}-{SPAN_ID}-{flags:02x}", state or None)
