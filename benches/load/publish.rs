//! Events for a server that takes them by POST instead of reading them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use super::body::Body;
use super::stamp;

/// The head of an answer for a server that asks what a request is to be subscribed to (GRIP).
pub const GRIP: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
    cache-control: no-cache\r\ngrip-hold: stream\r\ngrip-channel: feed\r\n\
    grip-keep-alive: \\n; format=cstring; timeout=55\r\ncontent-length: 0\r\n\r\n";

/// Where events are posted, and as what.
#[derive(Debug)]
pub struct Publisher {
    address: SocketAddr,
    path: String,
    form: String,
    connection: Option<TcpStream>,
    number: u64,
}

impl Publisher {
    /// A publisher to a URL. `form` is a file with `{data}` or `{json}` in it; without one, the
    /// data is the body.
    ///
    /// # Errors
    ///
    /// If the URL is none, or the file cannot be read.
    pub fn new(url: &str, form: Option<&Path>) -> io::Result<Self> {
        let wrong = || io::Error::other(format!("--publish {url}: not http://ADDRESS:PORT/PATH"));
        let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
        let (address, path) = rest.split_once('/').ok_or_else(wrong)?;
        Ok(Self {
            address: address.parse().map_err(|_| wrong())?,
            path: format!("/{path}"),
            form: form.map_or_else(|| Ok("{data}".to_owned()), std::fs::read_to_string)?,
            connection: None,
            number: 0,
        })
    }

    /// Posts the next event, and waits for the answer.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached or says no.
    pub fn publish(&mut self, due: u64, size: usize) -> io::Result<()> {
        self.number += 1;
        let data = stamp::data(self.number, due, size);
        let event = format!("id: {}\ndata: {data}\n\n", self.number);
        let json = serde_json::to_string(&event)?;
        let body = self.form.replace("{data}", &data).replace("{json}", &json);
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{body}",
            self.path,
            self.address,
            body.len()
        );
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connection = TcpStream::connect(self.address)?;
                connection.set_nodelay(true)?;
                connection
            }
        };
        connection.write_all(request.as_bytes())?;
        if read_answer(&mut connection)? {
            self.connection = Some(connection);
        }
        Ok(())
    }
}

/// Reads an answer to its end. `false` if the connection is then of no more use.
fn read_answer(connection: &mut TcpStream) -> io::Result<bool> {
    let mut answer = Vec::new();
    let mut room = [0; 4096];
    let mut body: Option<(Body, bool)> = None;
    loop {
        let read = connection.read(&mut room)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let rest = match &mut body {
            Some(_) => room.get(..read).unwrap_or_default().to_vec(),
            None => {
                answer.extend_from_slice(&room[..read]);
                let mut fields = [httparse::EMPTY_HEADER; 64];
                let mut response = httparse::Response::new(&mut fields);
                let head = response.parse(&answer).map_err(io::Error::other)?;
                let httparse::Status::Complete(head) = head else { continue };
                let status = response.code.unwrap_or(0);
                if !(200..300).contains(&status) {
                    return Err(io::Error::other(format!("published, and told {status}")));
                }
                let field = |name: &str| {
                    let mut fields = response.headers.iter();
                    let field = fields.find(|field| field.name.eq_ignore_ascii_case(name))?;
                    Some(String::from_utf8_lossy(field.value).to_lowercase())
                };
                let length = field("content-length").and_then(|length| length.parse().ok());
                let is_chunked = field("transfer-encoding").is_some();
                let is_last = field("connection").is_some_and(|it| it.contains("close"));
                let kind =
                    if is_chunked { Body::CHUNKED } else { Body::Length(length.unwrap_or(0)) };
                body = Some((kind, is_last));
                answer.split_off(head)
            }
        };
        if let Some((body, is_last)) = &mut body {
            body.read(&rest, |_| {})?;
            if body.is_done() {
                return Ok(!*is_last);
            }
        }
    }
}
