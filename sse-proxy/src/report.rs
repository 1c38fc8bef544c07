//! What an operator is told of broken streams: what was wrong, and what to set.

use sse_layer::Repairs;

use crate::config::Route;
use crate::origin::OriginError;

/// Tells that the origin gave no answer.
pub(crate) fn report_failure(route: &Route, error: &OriginError) {
    tracing::warn!(route = %route.path, upstream = %route.upstream, %error, "origin failed");
}

/// Tells which repairs were made to a feed.
pub(crate) fn repaired(route: &Route, path: &str, made: Repairs) {
    let (route, upstream) = (route.name(), &route.upstream);
    tracing::info!(route, path, %upstream, repairs = %made, "stream repaired: {}", faults(made));
}

/// Tells which repairs would mend a feed if they were on.
pub(crate) fn hinted(route: &Route, path: &str, hints: Repairs) {
    tracing::warn!(
        route = route.name(),
        path,
        upstream = %route.upstream,
        "the stream looks broken: {}; repair = {} would mend it",
        faults(hints),
        setting(route.repair, hints)
    );
}

/// Why a stream is passed on unread.
pub(crate) const UNKNOWN_CODING: &str = "its content coding cannot be undone here";

/// Tells that a stream is passed on unread: nothing of it is mended, kept or shared.
pub(crate) fn unknown_coding(route: &Route, path: &str) {
    let (route, upstream) = (route.name(), &route.upstream);
    tracing::warn!(route, path, %upstream, "a stream is passed on as it is: {UNKNOWN_CODING}");
}

/// What to set so that these repairs are made besides those that are on.
pub(crate) fn setting(on: Repairs, hints: Repairs) -> String {
    if on.contains(Repairs::SAFE) && Repairs::LEGACY.contains(on | hints) {
        return "\"legacy\"".to_owned();
    }
    let profile = [("legacy", Repairs::LEGACY), ("safe", Repairs::SAFE)];
    let profile = profile.into_iter().find(|(_, repairs)| on.contains(*repairs));
    let (profile, covered) = profile.map_or((None, Repairs::NONE), |(n, r)| (Some(n), r));
    let others = (on.without(covered) | hints).iter();
    let names: Vec<_> = profile.into_iter().chain(others).collect();
    format!("[\"{}\"]", names.join("\", \""))
}

/// What is wrong, for a person.
fn faults(repairs: Repairs) -> String {
    repairs.iter().map(fault).collect::<Vec<_>>().join("; ")
}

/// The fault that a repair is for.
fn fault(repair: &'static str) -> &'static str {
    match repair {
        "normalise-eol" => "lines end with CR, which some clients do not know",
        "charset" => "the label names another charset than UTF-8",
        "content-type" => "the content type is not text/event-stream",
        "decode" => "the content coding is not what the client can undo",
        "framing" => "the head names a length",
        "cache-control" => "caches are not told to leave it alone",
        "hop-by-hop" => "the head has fields for the hop before",
        "field-case" => "field names are not in lower case, so browsers drop the lines",
        "field-space" => "there are blanks around field names, so browsers drop the lines",
        "stray-bom" => "there are byte order marks within, so browsers drop the lines",
        "blank-lines" => "the lines between events have blanks in them, so no event ends",
        "transcode" => "the bytes are not UTF-8",
        "final-blank-line" => "the last event has no blank line, so browsers drop it",
        "line-per-event" => "there are no blank lines between events",
        "crcrlf" => "lines end with CR CR LF",
        "json-continuation" => "lines of a JSON text have no field name, so browsers drop them",
        "text-continuation" => "lines of data have no field name, so browsers drop them",
        "trim-type" => "there are blanks around event types",
        "empty-data" => "events have a type but no data, so browsers drop them",
        "add-ids" => "events have no id, so they cannot be resumed",
        "retry-unit" => "the reconnection time has a unit, so browsers ignore it",
        "retry-floor" => "the reconnection time is shorter than a second",
        "retry-ceiling" => "the reconnection time is too long for a 32-bit timer",
        "cesu8" => "characters are encoded as surrogates",
        "status" => "the status is not 200, so browsers give up",
        "soften-5xx" => "a server error makes browsers give up for good",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_set_keeps_what_is_set() {
        let (safe, legacy) = (Repairs::SAFE, Repairs::LEGACY);
        assert_eq!(setting(safe, Repairs::FIELD_CASE), "\"legacy\"");
        assert_eq!(setting(safe, Repairs::TRIM_TYPE), "[\"safe\", \"trim-type\"]");
        assert_eq!(setting(legacy, Repairs::RETRY_UNIT), "[\"legacy\", \"retry-unit\"]");
        let one = Repairs::FIELD_CASE;
        assert_eq!(setting(one, Repairs::STRAY_BOM), "[\"field-case\", \"stray-bom\"]");
        assert_eq!(setting(Repairs::NONE, one), "[\"field-case\"]");
    }

    #[test]
    fn every_repair_says_what_was_wrong() {
        for repair in (Repairs::LEGACY | all()).iter() {
            assert_ne!(fault(repair), repair);
        }
    }

    fn all() -> Repairs {
        let by_name = "`` is no repair; allowed are ";
        let known = "".parse::<Repairs>().unwrap_err().to_string();
        let names = known.strip_prefix(by_name).unwrap().split(", ");
        names.map(|name| name.parse::<Repairs>().unwrap()).collect()
    }
}
