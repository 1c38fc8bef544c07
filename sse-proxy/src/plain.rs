//! Everything that is no stream: passed on as it is, both ways at the same time.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, VIA};
use http::{HeaderValue, Method, StatusCode, Version};
use pingora::protocols::http::ServerSession;
use tokio::sync::mpsc;

use crate::client::{Client, reuse};
use crate::config::Route;
use crate::connection::Connection;
use crate::origin::{
    Ask, Interim, OriginError, Origins, Response, copy_end_to_end, copy_trailers, via,
};
use crate::report::report_failure;
use crate::request::Request;
use crate::sending::Sending;
use crate::session::{broken_off, head, respond, take};
use crate::trailing::Trailing;

/// Informational answers that may wait to be passed on.
const INTERIMS: usize = 4;

/// Answers a request with what the origin says to it.
pub(crate) async fn serve(
    session: &mut ServerSession,
    origins: &Origins,
    route: &Route,
    request: &Request,
) -> pingora::Result<()> {
    let (answer, sending) = ask(session, origins, route, request).await?;
    match answer {
        Ok(response) => answer_with(session, response, sending).await,
        Err(error) => fail(session, route, &error).await,
    }
}

/// There is no answer to pass on.
pub(crate) async fn fail(
    session: &mut ServerSession,
    route: &Route,
    error: &OriginError,
) -> pingora::Result<()> {
    report_failure(route, error);
    respond(take(session), 502, "The origin cannot be reached.\n").await
}

/// Asks the origin what the client asked. The request may not be complete when the answer begins.
/// An error if the client goes away.
pub(crate) async fn ask(
    session: &mut ServerSession,
    origins: &Origins,
    route: &Route,
    request: &Request,
) -> pingora::Result<(Result<Response, OriginError>, Sending)> {
    let (mut sending, upload) = Sending::begin(session);
    let (told, mut interims) = mpsc::channel(INTERIMS);
    let ask = Ask::new(session.req_header().method.clone(), request).interim(told);
    let answer = {
        let mut answer = std::pin::pin!(origins.ask(route, &ask, upload));
        loop {
            tokio::select! {
                biased;
                Some(interim) = interims.recv() => pass_interim(session, interim).await?,
                answer = &mut answer => break answer,
                went_on = sending.go_on(session) => went_on?,
            }
        }
    };
    while let Ok(interim) = interims.try_recv() {
        pass_interim(session, interim).await?;
    }
    Ok((answer, sending))
}

/// Answers a client whose request had no body with what the origin said. Returns the connection of
/// an HTTP/1 client that may ask for more.
pub(crate) async fn pass_to(
    client: Client,
    response: Response,
) -> pingora::Result<Option<Connection>> {
    let mut session = client.into_session().await?;
    pass(&mut session, response).await?;
    reuse(session).await
}

/// Answers a request that had no body with what the origin said.
pub(crate) async fn pass(session: &mut ServerSession, response: Response) -> pingora::Result<()> {
    answer_with(session, response, Sending::done()).await
}

async fn pass_interim(session: &mut ServerSession, interim: Interim) -> pingora::Result<()> {
    let (status, headers) = interim;
    let head = head(status, &copy_end_to_end(&headers))?;
    session.write_response_header(Box::new(head)).await
}

/// Answers with what the origin said, while the rest of the request is on its way.
pub(crate) async fn answer_with(
    session: &mut ServerSession,
    mut response: Response,
    mut sending: Sending,
) -> pingora::Result<()> {
    let mut headers = copy_end_to_end(&response.headers);
    headers.append(VIA, HeaderValue::from_static(via(response.version())));
    if let ServerSession::H2(session) = session
        && response.has_ended()
    {
        // In one piece: what is nothing but a head may be told from an empty body.
        return session.write_response_header(Box::new(head(response.status, &headers)?), true);
    }
    if response.headers.contains_key(TRAILER) || names_trailers(session) {
        for value in response.headers.get_all(TRAILER) {
            headers.append(TRAILER, value.clone());
        }
        if !session.is_http2() && may_have_body(session, response.status) && sending.is_done() {
            let head = head(response.status, &headers)?;
            return Trailing::open(take(session), head).await?.pass(response).await;
        }
    }
    let mut head = head(response.status, &headers)?;
    if may_have_body(session, response.status) && !headers.contains_key(CONTENT_LENGTH) {
        // Of a body without a length the end must be told: by the last chunk, or by closing.
        if session.req_header().version >= Version::HTTP_11 {
            head.insert_header(TRANSFER_ENCODING, "chunked")?;
        } else {
            session.set_keepalive(None);
        }
    }
    session.write_response_header(Box::new(head)).await?;
    loop {
        let chunk = tokio::select! {
            biased;
            chunk = response.chunk() => chunk,
            went_on = sending.go_on(session) => {
                went_on?;
                continue;
            }
        };
        match chunk {
            Ok(Some(chunk)) => session.write_response_body(chunk, false).await?,
            Ok(None) => break,
            // The client must see that something is missing.
            Err(error) => {
                response.report(&error);
                return Err(broken_off(&error));
            }
        }
    }
    match response.take_trailers() {
        Some(trailers) if session.is_http2() => {
            session.write_response_trailers(copy_trailers(&trailers)).await?;
        }
        _ => session.write_response_body(Bytes::new(), true).await?,
    }
    sending.give_up(session).await;
    Ok(())
}

/// Whether a response to this request may have a body at all.
fn may_have_body(session: &ServerSession, status: StatusCode) -> bool {
    session.req_header().method != Method::HEAD
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Whether the client says that it makes something of trailers.
fn names_trailers(session: &ServerSession) -> bool {
    let mut codings = session.req_header().headers.get_all(TE).iter();
    codings.any(|te| te.as_bytes().to_ascii_lowercase().windows(8).any(|part| part == b"trailers"))
}
