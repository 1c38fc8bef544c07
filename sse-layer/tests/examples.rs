//! The examples do what they say. They are run as programs and talked to over TCP.
//!
//! `cargo test` builds them beside this test; `cargo test --test examples` alone does not.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// An example that runs, until this is dropped.
struct Example {
    process: Child,
    address: String,
}

impl Example {
    fn start(name: &str) -> Self {
        let test = std::env::current_exe().unwrap();
        let path = test.ancestors().nth(2).unwrap().join("examples").join(name);
        let started = Command::new(&path).arg("0").stdout(Stdio::piped()).spawn();
        let mut process = started.unwrap_or_else(|error| {
            panic!("{}: {error}. Build it: cargo build --examples --all-features", path.display())
        });
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").and_then(|url| url.strip_suffix('/'));
        Self { address: address.expect("the example prints its address").to_owned(), process }
    }

    /// A connection on which `head`, a request without its common fields, has been sent.
    fn request(&self, head: &str, body: &str) -> TcpStream {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (address, length) = (&self.address, body.len());
        let common = format!("host: {address}\r\ncontent-length: {length}\r\nconnection: close");
        write!(socket, "{head}\r\n{common}\r\n\r\n{body}").unwrap();
        socket
    }

    /// The whole response.
    #[cfg(feature = "axum")]
    fn response(&self, head: &str, body: &str) -> String {
        let mut response = String::new();
        self.request(head, body).read_to_string(&mut response).unwrap();
        response
    }

    /// The response up to and including `end`. It need not have an end of its own.
    fn response_until(&self, head: &str, end: &str) -> String {
        read_until(&mut self.request(head, ""), end)
    }
}

fn read_until(socket: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(end.as_bytes()) {
        let text = || String::from_utf8_lossy(&seen);
        socket.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}, after {}", text()));
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap()
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A stream of this kind begins well, and goes on after the id that it is asked to go on after.
#[test]
#[cfg(feature = "axum")]
fn each_is_tried_here() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["axum.rs", "chat.rs", "hyper.rs", "llm.rs", "progress.rs"]);
}

fn counts_on(example: &Example, path: &str) {
    let seen = example.response_until(&format!("GET {path} HTTP/1.1"), "id: 2\ndata: ");
    assert!(seen.starts_with("HTTP/1.1 200 OK\r\n"), "{seen}");
    assert!(seen.contains("\r\ncontent-type: text/event-stream\r\n"), "{seen}");
    assert!(seen.contains("\r\nx-accel-buffering: no\r\n"), "{seen}");
    assert!(seen.contains("\r\n:\nretry: "), "{seen}");

    let head = format!("GET {path} HTTP/1.1\r\nlast-event-id: 7");
    let seen = example.response_until(&head, "\ndata: ");
    assert!(seen.contains("id: 8\n"), "{seen}");
}

#[test]
fn hyper_counts_on() {
    counts_on(&Example::start("hyper"), "/");
}

#[cfg(unix)]
#[test]
fn hyper_ends_its_streams_when_it_is_told_to_stop() {
    let mut example = Example::start("hyper");
    let mut stream = example.request("GET / HTTP/1.1", "");
    read_until(&mut stream, "data: ");
    let told = Command::new("kill").args(["-INT", &example.process.id().to_string()]).status();
    assert!(told.unwrap().success());

    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    let last = rest.split("\r\n").filter(|chunk| chunk.contains(':')).last().unwrap();
    assert!(last.starts_with("retry: ") && rest.ends_with("\r\n0\r\n\r\n"), "{rest}");
    assert!(example.process.wait().unwrap().success());
}

#[cfg(feature = "axum")]
mod axum {
    use super::*;

    #[test]
    fn axum_counts_on() {
        let example = Example::start("axum");
        counts_on(&example, "/clock");
        assert!(example.response("GET / HTTP/1.1", "").contains("new EventSource"));
    }

    #[test]
    fn chat_brings_messages_and_what_was_said_meanwhile() {
        const FORM: &str =
            "POST /messages HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded";

        let example = Example::start("chat");
        let mut listener = example.request("GET /messages HTTP/1.1", "");
        read_until(&mut listener, "\n\n\r\n");
        let said = example.response(FORM, "from=Ann&text=hello");
        assert!(said.starts_with("HTTP/1.1 204"), "{said}");
        let seen = read_until(&mut listener, "data: {\"from\":\"Ann\",\"text\":\"hello\"}\n\n");
        let id = seen.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
        drop(listener);

        example.response(FORM, "from=Bob&text=missed%0Ait");
        let back = format!("GET /messages HTTP/1.1\r\nlast-event-id: {id}");
        let seen = example.response_until(&back, "}\n\n");
        assert!(seen.contains("{\"from\":\"Bob\",\"text\":\"missed\\nit\"}"), "{seen}");
        assert!(!seen.contains("Ann"), "{seen}");
    }

    #[test]
    fn progress_ends_and_those_who_come_back_are_sent_away() {
        let example = Example::start("progress");
        let started = example.response("POST /jobs HTTP/1.1", "");
        assert!(started.starts_with("HTTP/1.1 201"), "{started}");
        let job = started.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();

        let seen = example.response(&format!("GET {job} HTTP/1.1"), "");
        assert!(seen.contains("data: 95\n\n"), "{seen}");
        assert!(seen.contains("event: done\nid: done\ndata: the job is done\n\n"), "{seen}");
        let back = example.response(&format!("GET {job} HTTP/1.1\r\nlast-event-id: done"), "");
        assert!(back.starts_with("HTTP/1.1 204"), "{back}");
        let late = example.response(&format!("GET {job} HTTP/1.1"), "");
        assert!(late.contains("event: done\n"), "{late}");
        let none = example.response("GET /jobs/77 HTTP/1.1", "");
        assert!(none.starts_with("HTTP/1.1 404"), "{none}");
    }

    #[test]
    fn llm_answers_a_post_token_by_token() {
        const JSON: &str = "POST /completions HTTP/1.1\r\ncontent-type: application/json";

        let example = Example::start("llm");
        let seen = example.response(JSON, "{\"prompt\":\"Why?\"}");
        assert!(seen.contains("content-type: text/event-stream\r\n"), "{seen}");
        assert!(seen.contains("data: {\"token\":\"Why? \"}\n\n"), "{seen}");
        assert!(seen.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"), "{seen}");
        assert!(!seen.contains("retry:"), "{seen}");
    }

    #[test]
    fn llm_stops_when_the_client_leaves() {
        const JSON: &str = "POST /completions HTTP/1.1\r\ncontent-type: application/json";

        let mut example = Example::start("llm");
        read_until(&mut example.request(JSON, "{\"prompt\":\"Why?\"}"), "token");
        let mut line = String::new();
        BufReader::new(example.process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "the client has left: no more tokens\n");
    }
}
