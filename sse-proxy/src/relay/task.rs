//! [`Relay`]: one origin stream on its way to its only client, as a task.

use std::sync::Arc;

use sse_layer::Event;
use tokio::time::Instant;

use super::visit;
use crate::config::Route;
use crate::connection::Connection;
use crate::downstream::Downstream;
use crate::feeds::Feeds;
use crate::frames::Frames;
use crate::origin::{Intake, Response};
use crate::passing::Passing;
use crate::request::Request;
use crate::stream::End;
use crate::visit::Visit;

/// One origin stream on its way to its only client, as a task.
pub(crate) struct Relay {
    pub(crate) downstream: Downstream,
    pub(crate) passing: Passing,
    visit: Visit,
}

impl Relay {
    /// For a client whose stream has been opened. `has_gap`: it has been told of one.
    pub(crate) fn new(
        downstream: Downstream,
        feeds: &Feeds,
        route: Arc<Route>,
        request: &Request,
        has_gap: bool,
    ) -> Self {
        let passing = Passing::new(feeds, route, request);
        let visit = visit(&passing, request, has_gap);
        Self { downstream, passing, visit }
    }

    /// Passes the origin's stream on to its client. Returns the connection if it can be used
    /// again, as the other ways to end do.
    pub(crate) async fn run(
        mut self,
        mut response: Response,
        mut intake: Intake,
    ) -> Option<Connection> {
        let passed = self.pass_all(&mut response, &mut intake).await;
        let mut end = passed.err().unwrap_or(End::OriginEnded);
        if end == End::OriginEnded {
            let rest = self.passing.remainder(intake);
            let written = self.downstream.write(rest, std::future::pending()).await;
            end = written.err().unwrap_or(End::OriginEnded);
        }
        self.end(end, end).await
    }

    /// Tells the client something of our own, and ends its stream.
    pub(crate) async fn tell(mut self, event: Event, why: End) -> Option<Connection> {
        let event = event.to_bytes();
        let bytes = event.len();
        let written = self.downstream.write(event, std::future::pending()).await;
        if written.is_ok() {
            self.visit.wrote(1, bytes, None);
        }
        self.end(why, written.err().unwrap_or(End::OriginEnded)).await
    }

    /// Ends the client's stream as `end` asks for, which came about through `why`.
    pub(crate) async fn end(self, why: End, end: End) -> Option<Connection> {
        let Self { downstream, visit, passing } = self;
        visit.end(why);
        let connection = downstream.end(end, None).await;
        drop(passing);
        connection
    }

    /// Passes on what the origin sends, to its orderly end.
    async fn pass_all(&mut self, response: &mut Response, intake: &mut Intake) -> Result<(), End> {
        loop {
            let chunk = self.downstream.wait(response.chunk()).await?;
            match chunk.map_err(|error| self.passing.failed(&error))? {
                Some(chunk) => intake.push(chunk),
                None => break,
            }
            self.write_frames(intake).await?;
        }
        intake.finish(response.is_delimited());
        self.write_frames(intake).await
    }

    /// Writes the frames that have come.
    async fn write_frames(&mut self, intake: &mut Intake) -> Result<(), End> {
        let came = Instant::now();
        loop {
            let mut frames = Frames::default();
            let filled = self.passing.fill(&mut frames, intake);
            filled.map_err(|error| self.passing.failed(&error))?;
            let events = frames.events();
            let frames = frames.into_bytes();
            let bytes = frames.len();
            if bytes == 0 {
                return Ok(());
            }
            self.downstream.write(frames, std::future::pending()).await?;
            self.visit.wrote(events, bytes, Some(came));
        }
    }
}
