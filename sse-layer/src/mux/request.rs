//! [`Request`]: which feeds a client wants on its stream, and from where; [`ChangeRequest`]: which
//! it wants as well, or no longer.

use std::collections::HashSet;

use serde::Deserialize;

use crate::JsonError;
use crate::feed::{Cursor, Epoch, Start};

/// The parameter of a request that names a feed.
const FEED: &str = "feed";

/// What a client asks for when it opens a multiplexed stream.
///
/// ```
/// use sse_layer::mux::Request;
///
/// // GET /.sse/mux?feed=/orders&feed=/prices?of=EUR, the second query in quotes
/// let request = Request::of_query("feed=/orders&feed=/prices%3Fof%3DEUR", "8c1f02aa.1842 17");
/// let names: Vec<_> = request.feeds.iter().map(|wanted| wanted.name.as_str()).collect();
/// assert_eq!(names, ["/orders", "/prices?of=EUR"]);
/// assert_eq!(request.cursor().unwrap().seq, 1842);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The feeds, in the client's order, each once.
    pub feeds: Vec<Wanted>,
    /// The last position that the client has, as it sent it: a cursor, and behind it, after a
    /// blank, the id that the source gave to that event. Empty if it sent none.
    pub after: String,
}

/// A feed that a client wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "(String, Option<String>)")]
#[non_exhaustive]
pub struct Wanted {
    /// As the client named it, which need not be a [`FeedName`](super::FeedName).
    pub name: String,
    /// The source's id of the last event that the client has of it. An empty one is none.
    pub last: Option<String>,
}

impl From<(String, Option<String>)> for Wanted {
    fn from((name, last): (String, Option<String>)) -> Self {
        Self { name, last: last.filter(|last| !last.is_empty()) }
    }
}

impl Request {
    /// That of a GET: feeds from the `feed` parameters of `query`, and the position from the last
    /// event ID, which is empty if there is none.
    #[must_use]
    pub fn of_query(query: &str, last_event_id: &str) -> Self {
        let feeds = form_urlencoded::parse(query.as_bytes())
            .filter(|(key, _)| key == FEED)
            .map(|(_, name)| Wanted { name: name.into_owned(), last: None });
        Self { feeds: each_once(feeds), after: last_event_id.to_owned() }
    }

    /// That of a POST: feeds with their last ids, and the cursor, as JSON such as
    /// `{"feeds":[["/a",null],["/b","17"]],"cursor":"8c1f02aa.1842"}`. The cursor may be missing.
    ///
    /// # Errors
    ///
    /// For what is not such JSON.
    pub fn of_json(json: &[u8]) -> Result<Self, JsonError> {
        #[derive(Deserialize)]
        struct Posted {
            feeds: Vec<Wanted>,
            cursor: Option<String>,
        }
        let Posted { feeds, cursor } = serde_json::from_slice(json).map_err(JsonError::new)?;
        Ok(Self { feeds: each_once(feeds), after: cursor.unwrap_or_default() })
    }

    /// The last position that the client has, if it is one.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.after.split(' ').next().and_then(|cursor| cursor.parse().ok())
    }

    /// Whether the client goes on in the log of this epoch.
    #[must_use]
    pub fn resumes(&self, epoch: Epoch) -> bool {
        self.cursor().is_some_and(|cursor| cursor.epoch == epoch)
    }

    /// What the client said to go on from in a feed of the log of this epoch: see
    /// [`start`](Self::start). Empty if it said nothing.
    #[must_use]
    pub fn after<'a>(&'a self, wanted: &'a Wanted, epoch: Epoch) -> &'a str {
        match &wanted.last {
            Some(last) if !self.resumes(epoch) => last,
            _ => &self.after,
        }
    }

    /// Whether all feeds of a log of this epoch begin with what comes next.
    #[must_use]
    pub fn is_live(&self, epoch: Epoch) -> bool {
        let is_at_none = match self.cursor() {
            Some(cursor) => cursor.epoch != epoch,
            None => self.after.is_empty(),
        };
        is_at_none && self.feeds.iter().all(|wanted| wanted.last.is_none())
    }

    /// Where the client goes on in a feed of the log of this epoch: after its cursor, or, if that
    /// is of another log, after the last id that it has of the feed, if it said so.
    #[must_use]
    pub fn start<'a>(&'a self, wanted: &'a Wanted, epoch: Epoch) -> Start<'a> {
        match (self.cursor(), &wanted.last) {
            (Some(cursor), Some(last)) if cursor.epoch != epoch => Start::Id(last.as_bytes()),
            (Some(cursor), _) => Start::After(cursor),
            (None, Some(last)) => Start::Id(last.as_bytes()),
            (None, None) if self.after.is_empty() => Start::Live,
            (None, None) => Start::Id(self.after.as_bytes()),
        }
    }
}

/// What a client asks to be changed on a stream that is open.
///
/// ```
/// use sse_layer::mux::ChangeRequest;
///
/// let change = ChangeRequest::of_json(br#"{"add":[["/c",null]],"remove":["/a"]}"#)?;
/// assert_eq!(change.add[0].name, "/c");
/// assert_eq!(change.remove, ["/a"]);
/// # Ok::<(), sse_layer::JsonError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ChangeRequest {
    /// The feeds to be read as well, in the client's order.
    pub add: Vec<Wanted>,
    /// The names of the feeds to be read no longer. Made before anything is added.
    pub remove: Vec<String>,
}

impl ChangeRequest {
    /// That of a POST, as JSON such as `{"add":[["/c",null]],"remove":["/a"]}`. Either may be
    /// missing.
    ///
    /// # Errors
    ///
    /// For what is not such JSON.
    pub fn of_json(json: &[u8]) -> Result<Self, JsonError> {
        serde_json::from_slice(json).map_err(JsonError::new)
    }
}

/// Of several with one name the first.
fn each_once(feeds: impl IntoIterator<Item = Wanted>) -> Vec<Wanted> {
    let mut known = HashSet::new();
    feeds.into_iter().filter(|wanted| known.insert(wanted.name.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, last: Option<&str>) -> Wanted {
        (name.to_owned(), last.map(str::to_owned)).into()
    }

    #[test]
    fn a_query_names_each_feed_once() {
        let request = Request::of_query("feed=/a&x=1&feed=/b%3Fc%3D1&feed=/a&feed=", "");
        assert_eq!(request.feeds, ["/a", "/b?c=1", ""].map(|name| wanted(name, None)));
        assert_eq!(Request::of_query("", ""), Request::default());
    }

    #[test]
    fn json_names_each_feed_once_and_its_last_id() {
        let json = br#"{"feeds":[["/a",null],["/b","17"],["/a","1"]],"cursor":"8c1f02aa.7"}"#;
        let request = Request::of_json(json).unwrap();
        assert_eq!(request.feeds, [wanted("/a", None), wanted("/b", Some("17"))]);
        assert_eq!(request.after, "8c1f02aa.7");
        assert_eq!(Request::of_json(br#"{"feeds":[]}"#).unwrap(), Request::default());
        for bad in ["", "{}", "[]", r#"{"feeds":["/a"]}"#, r#"{"feeds":[["/a"]]}"#] {
            assert!(Request::of_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_client_goes_on_from_the_best_that_it_knows() {
        let (here, elsewhere) = ("8c1f02aa.7", "00000000.7");
        let epoch = here.parse::<Cursor>().unwrap().epoch;
        for (after, last, expected) in [
            ("", None, "Live"),
            ("", Some(""), "Live"),
            (here, None, "7"),
            ("8c1f02aa.7 17", None, "7"),
            (here, Some("17"), "7"),
            (elsewhere, Some("17"), "id 17"),
            (elsewhere, None, "7"),
            (elsewhere, Some(""), "7"),
            ("", Some("17"), "id 17"),
            ("no cursor", None, "id no cursor"),
            ("no cursor", Some("17"), "id 17"),
        ] {
            let request = Request { feeds: vec![wanted("/a", last)], after: after.to_owned() };
            let start = match request.start(&request.feeds[0], epoch) {
                Start::Live => "Live".to_owned(),
                Start::After(cursor) => cursor.seq.to_string(),
                Start::Id(id) => format!("id {}", String::from_utf8_lossy(id)),
            };
            assert_eq!(start, expected, "{after:?} {last:?}");
            assert_eq!(request.resumes(epoch), after.starts_with(here));
        }
    }
}
