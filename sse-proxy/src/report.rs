//! What an operator is told of broken streams: each thing once per stream.

use sse_layer::Repairs;

use crate::config::Route;
use crate::origin::OriginError;

/// Tells that the origin gave no answer.
pub(crate) fn report_failure(route: &Route, error: &OriginError) {
    tracing::warn!(route = %route.path, upstream = %route.upstream, %error, "origin failed");
}

/// Tells which repairs were made to a stream, and which would help but are off.
pub(crate) fn report_repairs(route: &Route, head: Repairs, (made, hints): (Repairs, Repairs)) {
    let made = head | made;
    if !made.is_empty() {
        tracing::info!(route = %route.path, upstream = %route.upstream, repairs = %made, "stream repaired");
    }
    if !hints.is_empty() {
        tracing::warn!(
            route = %route.path, upstream = %route.upstream,
            "the stream looks broken: repair = [\"{}\"] would mend it", hints.iter().collect::<Vec<_>>().join("\", \"")
        );
    }
}
