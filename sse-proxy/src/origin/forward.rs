//! What is added to and removed from a message on its way through.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, Version};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Fields that are for the next hop alone, whatever `Connection` says.
static HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// How many fields are added to a message at the most.
const MOST_ADDED: usize = 5;

/// Whose request it is that is passed on.
#[derive(Debug)]
pub(crate) struct Forward<'a> {
    pub(crate) client: Option<IpAddr>,
    pub(crate) authority: &'a str,
    pub(crate) tls: bool,
    /// The version that the client spoke, for `Via`.
    pub(crate) version: Version,
}

/// The fields that are for whoever is at the other end: without what is for this hop alone, the fields
/// that `Connection` names among it.
pub(crate) fn copy_end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let room = headers.len() + MOST_ADDED;
    let mut copy = HeaderMap::try_with_capacity(room).unwrap_or_default();
    for (name, value) in headers {
        if !HOP_BY_HOP.contains(name) && !named.contains(name) {
            copy.append(name, value.clone());
        }
    }
    copy
}

/// The trailers that are for whoever is at the other end. Those that frame a message come too late
/// for that, and can only mislead (RFC 9110, 6.5.1).
pub(crate) fn copy_trailers(trailers: &HeaderMap) -> HeaderMap {
    let mut copy = copy_end_to_end(trailers);
    for name in [CONTENT_LENGTH, HOST] {
        copy.remove(name);
    }
    copy
}

/// Tells the origin who asked, as `Forwarded` (RFC 7239), as the older `X-Forwarded-*`, and `Via`.
pub(crate) fn add_forwarded(headers: &mut HeaderMap, from: &Forward<'_>) {
    let scheme = if from.tls { "https" } else { "http" };
    let host = from.authority;
    let client = from.client.map(|client| client.to_string());
    let mut forwarded = String::with_capacity(64);
    forwarded.extend(["proto=", scheme]);
    if !host.is_empty() && !host.contains(['"', '\\']) {
        forwarded.extend([";host=\"", host, "\""]);
    }
    match (from.client, &client) {
        (Some(IpAddr::V6(_)), Some(client)) => forwarded.extend([";for=\"[", client, "]\""]),
        (_, Some(client)) => forwarded.extend([";for=", client]),
        (_, None) => {}
    }
    append(headers, FORWARDED, forwarded);
    if let Some(client) = client {
        append(headers, X_FORWARDED_FOR, client);
    }
    set_if_absent(headers, X_FORWARDED_PROTO, scheme);
    if !host.is_empty() {
        set_if_absent(headers, X_FORWARDED_HOST, host.to_owned());
    }
    append(headers, VIA, via(from.version));
}

/// Our own entry in `Via`.
pub(crate) fn via(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2 sse-proxy",
        Version::HTTP_10 => "1.0 sse-proxy",
        _ => "1.1 sse-proxy",
    }
}

/// Puts an entry behind those of a list.
fn append(headers: &mut HeaderMap, name: HeaderName, entry: impl Into<Bytes>) {
    let entry = entry.into();
    let mut list = Vec::new();
    for before in headers.get_all(&name) {
        list.extend_from_slice(before.as_bytes());
        list.extend_from_slice(b", ");
    }
    let list = if list.is_empty() { entry } else { [&list[..], &entry].concat().into() };
    if let Ok(value) = HeaderValue::from_maybe_shared(list) {
        headers.insert(name, value);
    }
}

fn set_if_absent(headers: &mut HeaderMap, name: HeaderName, value: impl Into<Bytes>) {
    if !headers.contains_key(&name)
        && let Ok(value) = HeaderValue::from_maybe_shared(value.into())
    {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn what_connection_names_goes_with_it() {
        let kept = copy_end_to_end(&headers(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("x-end", "1"),
        ]));
        assert_eq!(kept, headers(&[("x-end", "1")]));
    }

    #[test]
    fn the_chain_of_proxies_grows_by_one() {
        let mut fields = headers(&[("x-forwarded-for", "192.0.2.7"), ("via", "1.1 cdn")]);
        let from = Forward {
            client: Some("2001:db8::1".parse().unwrap()),
            authority: "news.example:8443",
            tls: true,
            version: Version::HTTP_2,
        };
        add_forwarded(&mut fields, &from);
        assert_eq!(fields["x-forwarded-for"], "192.0.2.7, 2001:db8::1");
        assert_eq!(fields["x-forwarded-proto"], "https");
        assert_eq!(fields["x-forwarded-host"], "news.example:8443");
        assert_eq!(fields["via"], "1.1 cdn, 2 sse-proxy");
        assert_eq!(
            fields["forwarded"],
            "proto=https;host=\"news.example:8443\";for=\"[2001:db8::1]\""
        );
    }
}
