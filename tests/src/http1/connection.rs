//! One kept connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::body::{Framing, Piece};
use super::{Head, Request};

/// Room for one read; an answer to a beat fits many times.
const READ_BYTES: usize = 16 * 1024;
/// A head longer than this is no answer of a registry.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A body up to this length is read into one piece of memory; of a longer one nobody should have to make room at once.
const WHOLE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A connection to an address of this machine.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status and headers.
    pub head: Head,
    /// The body without its framing.
    pub body: Bytes,
}

impl Response {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The body as text, for messages and for Nacos's plain answers.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a JSON value of the wanted type.
    ///
    /// # Errors
    ///
    /// When it is not; the message holds the body.
    pub fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body)
            .map_err(|error| anyhow::anyhow!("{error} in the answer {} {}", self.status(), self.text()))
    }
}

/// Whether what is sent to an address cannot leave this machine: the loopback interface, and the range for
/// benchmarks (RFC 2544, 198.18.0.0/15), of which [`crate::cut`] takes the addresses of its links and which nobody
/// routes.
#[must_use]
pub fn stays_here(ip: IpAddr) -> bool {
    let benchmarks = match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 198 && ip.octets()[1] & 0xFE == 18,
        IpAddr::V6(_) => false,
    };
    ip.is_loopback() || benchmarks
}

fn must_stay_here(addr: SocketAddr) -> io::Result<()> {
    if stays_here(addr.ip()) {
        return Ok(());
    }
    let message = format!("{addr} is not an address of this machine, and no other is ever a target");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When the address is not one of this machine by the rule of [`stays_here`], or when nobody listens there.
    pub async fn open(addr: SocketAddr) -> io::Result<Self> {
        must_stay_here(addr)?;
        Self::over(TcpStream::connect(addr).await?)
    }

    /// Connects from an address of this machine, so as to be somebody else.
    ///
    /// # Errors
    ///
    /// As [`Connection::open`], or when the address cannot be taken.
    pub async fn open_from(source: Ipv4Addr, addr: SocketAddr) -> io::Result<Self> {
        must_stay_here(addr)?;
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((source, 0)))?;
        Self::over(socket.connect(addr).await?)
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        // Small requests go out at once, as every HTTP client has it.
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: BytesMut::with_capacity(READ_BYTES),
        })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or when what comes back is not HTTP/1.
    pub async fn request(&mut self, request: Request) -> io::Result<Response> {
        self.exchange(&request.into_bytes()).await
    }

    /// Sends prepared bytes and reads the whole answer.
    ///
    /// # Errors
    ///
    /// As [`Connection::request`].
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Response> {
        match self.write(request).await {
            // Whoever refuses a request early may answer and close while it is still being sent: the answer counts.
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                return Err(error);
            }
            _ => {}
        }
        let head = self.read_head().await?;
        let body = self.read_body(head.framing()).await?;
        Ok(Response { head, body })
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads up to the end of the next answer's head.
    ///
    /// # Errors
    ///
    /// As [`Connection::request`].
    pub async fn read_head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                return Head::parse(self.buffer.split_to(end + 4).freeze());
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a head without an end",
                ));
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads the next piece of a body, or `None` at its end.
    ///
    /// # Cancel safety
    ///
    /// No byte is lost when the future is dropped before it is ready.
    ///
    /// # Errors
    ///
    /// As [`Connection::request`].
    pub async fn read_piece(&mut self, framing: &mut Framing) -> io::Result<Option<Bytes>> {
        loop {
            match framing.next(&mut self.buffer)? {
                Piece::Data(data) => return Ok(Some(data)),
                Piece::End => return Ok(None),
                Piece::NeedMore => {
                    if self.fill().await? == 0 {
                        return if framing.ends_with_connection() {
                            Ok(None)
                        } else {
                            Err(io::ErrorKind::UnexpectedEof.into())
                        };
                    }
                }
            }
        }
    }

    async fn read_body(&mut self, mut framing: Framing) -> io::Result<Bytes> {
        // A large answer is not copied: whoever measures a server must cost less than it does.
        if let Some(length) = framing.known_length().filter(|it| *it <= WHOLE_BYTES_MAX) {
            while self.buffer.len() < length {
                self.buffer.reserve(length - self.buffer.len());
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            return Ok(self.buffer.split_to(length).freeze());
        }
        let Some(first) = self.read_piece(&mut framing).await? else {
            return Ok(Bytes::new());
        };
        // Nearly every answer is one piece, and then nothing is copied.
        let Some(second) = self.read_piece(&mut framing).await? else {
            return Ok(first);
        };
        let mut body = BytesMut::from(&first[..]);
        body.extend_from_slice(&second);
        while let Some(piece) = self.read_piece(&mut framing).await? {
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ_BYTES);
        self.stream.read_buf(&mut self.buffer).await
    }
}

/// Sends one request over a connection of its own.
///
/// # Errors
///
/// As [`Connection::request`].
pub async fn send(addr: SocketAddr, request: Request) -> io::Result<Response> {
    Connection::open(addr)
        .await?
        .request(request.header("Connection", "close"))
        .await
}

/// Gets one target over a connection of its own.
///
/// # Errors
///
/// As [`Connection::request`].
pub async fn get(addr: SocketAddr, target: &str) -> io::Result<Response> {
    send(addr, Request::new("GET", target)).await
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_elsewhere_is_refused() {
        let error = Connection::open("192.0.2.1:80".parse().unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
