//! [`Wire`]: a plain connection, for what no proper client would send, and for how things look on
//! the wire.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::within;

/// A client's TCP connection, as bytes.
pub(crate) struct Wire {
    stream: TcpStream,
    /// What has come and was not handed out.
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address)).await.expect("accepted");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, unread: Vec::new() }
    }

    /// A connection that takes little before it is read.
    pub(crate) async fn connect_narrow(address: SocketAddr) -> Self {
        const LITTLE: u32 = 4096;
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(LITTLE).expect("a TCP socket");
        let stream = within("a connection", socket.connect(address)).await.expect("accepted");
        Self { stream, unread: Vec::new() }
    }

    /// Connects and sends bytes: usually a request.
    pub(crate) async fn send(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Self {
        let mut wire = Self::connect(address).await;
        wire.write(bytes).await;
        wire
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        within("bytes are taken", self.stream.write_all(bytes.as_ref())).await.expect("connected");
    }

    /// Writes, or tells that the other side has closed.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        within("bytes are taken or refused", self.stream.write_all(bytes)).await
    }

    /// Reads up to and with `mark`. What comes after it is for the next read.
    pub(crate) async fn read_until(&mut self, mark: impl AsRef<[u8]>) -> Vec<u8> {
        let mark = mark.as_ref();
        let mut searched = 0;
        loop {
            let new = self.unread.get(searched..).unwrap_or_default();
            let found = new.windows(mark.len()).position(|part| part == mark);
            if let Some(at) = found {
                let rest = self.unread.split_off(searched + at + mark.len());
                return std::mem::replace(&mut self.unread, rest);
            }
            searched = (self.unread.len() + 1).saturating_sub(mark.len());
            let what = format!("{:?}", String::from_utf8_lossy(mark));
            let read = within(&what, self.stream.read_buf(&mut self.unread)).await;
            let so_far = || String::from_utf8_lossy(&self.unread);
            assert!(matches!(read, Ok(1..)), "no {what} before the end in {:?}", so_far());
        }
    }

    /// The same, as text.
    pub(crate) async fn text_until(&mut self, mark: &str) -> String {
        String::from_utf8_lossy(&self.read_until(mark).await).into_owned()
    }

    /// Reads to the end, in whatever way it comes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let rest = async { while let Ok(1..) = self.stream.read_buf(&mut self.unread).await {} };
        within("the other side closes", rest).await;
        std::mem::take(&mut self.unread)
    }

    /// The same, as text.
    pub(crate) async fn rest_as_text(&mut self) -> String {
        String::from_utf8_lossy(&self.rest().await).into_owned()
    }
}
