//! The page at `/.sse/`, which shows multiplexed streams to whoever opened them.

use http::HeaderMap;
use serde_json::Value;

use crate::support::{Mux, Origin, Proxy, Stream, fields};

async fn watch(proxy: &Proxy, headers: HeaderMap) -> Stream {
    proxy.h1().open_with("/.sse/page/events", headers).await
}

/// Looks until this is so.
async fn until(page: &mut Stream, is_so: impl Fn(&Value) -> bool) -> Value {
    loop {
        let seen: Value = serde_json::from_str(&page.data().await).expect("JSON");
        if is_so(&seen) {
            return seen;
        }
    }
}

#[tokio::test]
async fn the_page_shows_streams_to_who_opened_them_and_to_nobody_else() {
    let origin = Origin::start();
    let config = format!("{}\n[mux]\npage = true", Proxy::config(&origin, ""));
    let proxy = Proxy::start(&config).await;
    let ann = fields(&[("cookie", "session=ann")]);
    let (mut mux, _) = Mux::open_with(&proxy.h1(), &["/a", "/gone#"], ann.clone()).await;
    let mut a = origin.opened("/a").await;
    a.send("event: update\nid: 17\ndata: secret\n\n").await;
    mux.event().await;

    let mut page = watch(&proxy, ann).await;
    let seen = until(&mut page, |seen| seen[0]["feeds"]["/a"]["events"] == 1).await;
    let feed = &seen[0]["feeds"]["/a"];
    assert_eq!(
        (&feed["state"], &feed["kind"], &feed["data"]),
        (&"open".into(), &"update".into(), &"secret".into())
    );
    assert_eq!(seen[0]["feeds"]["/gone#"]["why"], "400");
    for other in [HeaderMap::new(), fields(&[("cookie", "session=bob")])] {
        assert_eq!(watch(&proxy, other).await.data().await, "[]");
    }
    drop(mux);
    until(&mut page, |seen| *seen == Value::Array(vec![])).await;

    let html = proxy.h1().get("/.sse/").await;
    assert_eq!(html.values("content-type"), ["text/html; charset=utf-8"]);
    assert!(html.text().await.contains("/.sse/page.js"));
}

#[tokio::test]
async fn there_is_no_page_unless_it_is_asked_for() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for path in ["/.sse/", "/.sse/page.js", "/.sse/page/events"] {
        let client = proxy.h1();
        let (answer, ()) = tokio::join!(client.get(path), async {
            origin.request(path).await.answer("404 Not Found", "", "the origin's").await;
        });
        assert_eq!(answer.text().await, "the origin's", "{path}");
    }
}
