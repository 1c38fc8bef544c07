//! Everything that can go wrong at start, done before anything runs.

use std::fmt::{self, Display};
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted: many clients come back at once after a restart. The
/// system may allow fewer.
const BACKLOG: i32 = 65_535;

/// Something that the configuration names is not there or cannot be used: a certificate, an
/// address.
#[derive(Debug)]
pub struct StartError(String);

impl StartError {
    pub(crate) fn new(what: &str, why: &dyn Display) -> Self {
        Self(format!("{what}: {why}"))
    }
}

impl Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// Binds an address. Returns the socket, and the address with its real port.
pub(crate) fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = || -> std::io::Result<_> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // What is accepted inherits it: an event is to leave when it is written, however small.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from(socket);
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    bound().map_err(|error| StartError::new(&format!("cannot listen on {address}"), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_does_not_delay() {
        let (socket, address) = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        socket.set_nonblocking(false).unwrap();
        assert!(socket.accept().unwrap().0.nodelay().unwrap());
    }
}
