//! How a request can be found again: an id made here for each request, and the trace it belongs to (W3C Trace
//! Context, continued when the caller sent one, begun otherwise).

use axum::http::HeaderMap;
use domain::id::Ids;
use engine::RequestIds;

/// Ids of a request that comes in.
pub fn of_request(headers: &HeaderMap, ids: &dyn Ids) -> RequestIds {
    let sent = headers.get("traceparent").and_then(|value| value.to_str().ok());
    let trace_id = sent.and_then(trace_id).map_or_else(|| ids.next().simple().to_string(), str::to_owned);
    RequestIds { request_id: format!("req_{}", ids.next().simple()), trace_id }
}

/// The trace id of a `traceparent`, if it is one: lower-case hexadecimal and not all zero, as section 3.2 of the
/// recommendation asks. Versions above 00 may have further fields.
pub fn trace_id(traceparent: &str) -> Option<&str> {
    let mut fields = traceparent.split('-');
    let (version, trace, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let zero = |text: &str| text.bytes().all(|b| b == b'0');
    let fits = hex(version, 2)
        && version != "ff"
        && (version != "00" || fields.next().is_none())
        && hex(trace, 32)
        && !zero(trace)
        && hex(parent, 16)
        && !zero(parent)
        && hex(flags, 2);
    fits.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::trace_id;

    #[test]
    fn only_well_formed_traces_are_continued() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_id(&format!("00-{trace}-00f067aa0ba902b7-01")), Some(trace));
        assert_eq!(trace_id(&format!("01-{trace}-00f067aa0ba902b7-01-more")), Some(trace));
        for bad in [
            String::new(),
            trace.into(),
            format!("00-{trace}-00f067aa0ba902b7-01-more"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{trace}-0000000000000000-01"),
        ] {
            assert_eq!(trace_id(&bad), None, "{bad}");
        }
    }
}
