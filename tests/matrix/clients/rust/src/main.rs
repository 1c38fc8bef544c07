//! The crate eventsource-client. See `jobs.mjs` for what is asked and said.

use std::io::{BufRead, stdin};
use std::time::Duration;

use eventsource_client::{Client, ClientBuilder, Error, ReconnectOptions, SSE};
use futures_util::TryStreamExt;
use launchdarkly_sdk_transport::HyperTransport;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

#[derive(Deserialize)]
struct Job {
    run: String,
    url: String,
    take: usize,
}

impl Job {
    fn say(&self, mut words: Value) {
        words["run"] = json!(self.run);
        println!("{words}");
    }

    async fn read(&self) -> Result<(), Box<dyn std::error::Error>> {
        let started = Instant::now();
        let transport = HyperTransport::builder().build_https()?;
        let soon = Duration::from_millis(100);
        let options = ReconnectOptions::reconnect(true).retry_initial(true).delay(soon).build();
        let client =
            ClientBuilder::for_url(&self.url)?.reconnect(options).build_with_transport(transport);
        let mut stream = client.stream();
        let mut heard = 0;
        while heard < self.take {
            match stream.try_next().await {
                Ok(Some(SSE::Event(event))) => {
                    heard += 1;
                    let at = started.elapsed().as_secs_f64() * 1000.0;
                    let (kind, id, data) = (event.event_type, event.id, event.data);
                    self.say(json!({ "type": kind, "id": id, "data": data, "at": at }));
                }
                Ok(Some(SSE::Connected(_) | SSE::Comment(_))) => {}
                Ok(None) => return Err("no more".into()),
                Err(error @ Error::UnexpectedResponse(..)) => return Err(error.into()),
                Err(error) => self.say(json!({ "error": error.to_string() })),
            }
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in stdin().lock().lines() {
        let job: Job = serde_json::from_str(&line?)?;
        if let Err(error) = job.read().await {
            job.say(json!({ "failed": error.to_string() }));
        }
        job.say(json!({ "closed": true }));
    }
    Ok(())
}
