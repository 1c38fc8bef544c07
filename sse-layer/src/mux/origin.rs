//! Whether a page may send a request: those of a site's own pages may.

/// Whether a page of this origin, as browsers send it (`https://app.example:8443`), belongs to the
/// site that it has reached as `authority`, which is the host that the request names, with its
/// port if it names one.
///
/// The scheme is not looked at: whether there is TLS in front of the server, the request does not
/// tell.
///
/// ```
/// use sse_layer::mux::is_same_origin;
///
/// assert!(is_same_origin("https://app.example", "app.example"));
/// assert!(is_same_origin("https://app.example", "APP.example:443"));
/// assert!(is_same_origin("http://127.0.0.1:8080", "127.0.0.1:8080"));
/// assert!(!is_same_origin("https://evil.example", "app.example"));
/// assert!(!is_same_origin("https://app.example:8443", "app.example"));
/// assert!(!is_same_origin("null", "null"));
/// ```
#[must_use]
pub fn is_same_origin(origin: &str, authority: &str) -> bool {
    let Some((scheme, site)) = origin.split_once("://") else { return false };
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let bare = |host: &str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    !site.is_empty() && bare(site) == bare(authority)
}
