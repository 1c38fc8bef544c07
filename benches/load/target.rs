//! Where requests go.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use http::Uri;
use socket2::{Domain, Protocol, Socket, Type};

use super::args::Args;

/// The server, and what is said to it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub is_tls: bool,
    /// Its name, for TLS.
    pub host: String,
    /// Its name and port as the URL has them.
    pub authority: String,
    /// Path and query, with `{i}`.
    pub path: String,
    /// Addresses that connections are made from.
    sources: u8,
    /// Header fields, name and value.
    pub fields: Vec<(String, String)>,
}

/// Connections that one source address is good for.
const PORTS: usize = 20_000;

impl Target {
    /// Reads the URL, and looks the name up.
    ///
    /// # Errors
    ///
    /// If it is no URL of HTTP, or the name is unknown.
    pub fn new(args: &Args) -> io::Result<Self> {
        let url = args.url.as_deref().unwrap_or_default();
        let wrong = |what: &str| io::Error::other(format!("--url {url}: {what}"));
        // A path may have braces, which `Uri` refuses.
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| wrong("no http:// or https://"))?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let is_tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(wrong("neither http:// nor https://")),
        };
        let uri: Uri = authority.parse().map_err(|_| wrong("no host"))?;
        let host = uri.host().ok_or_else(|| wrong("no host"))?.to_owned();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let unbracketed = host.trim_matches(['[', ']']);
        let addresses = (unbracketed, port).to_socket_addrs()?;
        let address = addresses.min_by_key(SocketAddr::is_ipv6);
        let address = address.ok_or_else(|| wrong("a name without an address"))?;
        let fields = args.header.iter().map(|field| {
            let (name, value) = field
                .split_once(':')
                .ok_or_else(|| io::Error::other(format!("--header {field}: not `Name: value`")))?;
            Ok((name.trim().to_lowercase(), value.trim().to_owned()))
        });
        let is_local = address.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST);
        if args.sources.is_some_and(|sources| sources > 1) && !is_local {
            return Err(io::Error::other("--sources: only for a server on 127.0.0.1"));
        }
        let sources = args.connections().div_ceil(PORTS).try_into().unwrap_or(u8::MAX);
        Ok(Self {
            address,
            is_tls,
            host: unbracketed.to_owned(),
            authority: authority.to_owned(),
            path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
            sources: if is_local { args.sources.unwrap_or(sources).max(1) } else { 1 },
            fields: fields.collect::<io::Result<_>>()?,
        })
    }

    /// Whether all streams ask for the same.
    pub fn is_one(&self) -> bool {
        !self.path.contains("{i}")
    }

    /// Feeds on each stream.
    pub fn feeds_per_stream(&self) -> u64 {
        (self.path.matches("feed=").count() as u64).max(1)
    }

    /// Path and query for a feed.
    pub fn path(&self, feed: usize) -> String {
        self.path.replace("{i}", &feed.to_string())
    }

    /// A socket that begins to connect.
    ///
    /// # Errors
    ///
    /// If there is no descriptor or port left.
    pub fn connect(&self, stream: usize, is_slow: bool) -> io::Result<std::net::TcpStream> {
        let domain = Domain::for_address(self.address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        // No port stays taken after the end, so that the next run finds enough.
        socket.set_linger(Some(std::time::Duration::ZERO))?;
        if is_slow {
            // Else the kernel would take much for it.
            socket.set_recv_buffer_size(4096)?;
        }
        if self.sources > 1 {
            let last = u8::try_from(stream % usize::from(self.sources)).unwrap_or(0) + 1;
            socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into())?;
        }
        match socket.connect(&self.address.into()) {
            // EINPROGRESS, which has no kind of its own yet.
            Err(error) if error.raw_os_error() != Some(115) => Err(error),
            _ => Ok(socket.into()),
        }
    }

    /// A request of HTTP/1.1.
    pub fn request(&self, feed: usize, last_event_id: &[u8]) -> Vec<u8> {
        let mut request = format!(
            "GET {} HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\ncache-control: no-cache\r\n",
            self.path(feed),
            self.authority
        )
        .into_bytes();
        for (name, value) in &self.fields {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if !last_event_id.is_empty() {
            request.extend_from_slice(b"last-event-id: ");
            request.extend_from_slice(last_event_id);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        request
    }
}
