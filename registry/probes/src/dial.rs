//! A TCP connection to a checked address.
//!
//! **How it closes.** Whoever closes first keeps the connection's ports in `TIME_WAIT` for a minute. 20,000 targets that
//! are asked every 5 s would keep 240,000 of them, and a target that is asked often would run out of ports. So these
//! sockets have `SO_LINGER` 0: closing sends RST, and nothing of the connection is left on either side. What it costs:
//!
//! - A server that only looked at its listening socket sees a connection that was reset, which some log. The load
//!   balancers that people have in front of the same servers check in the same way.
//! - What was sent and not yet taken by the other side is lost on closing. Every exchange here ends with an answer that was
//!   read, so that there is nothing to lose, but for MySQL's goodbye, which waits for the other side (`mysql`).
//!
//! HTTP goes through another library's sockets, where this cannot be set; `http` says what happens there.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};

use crate::outcome::{ProbeOutcome, Step};

/// Connects. Dropped before it is through, it leaves nothing behind.
pub(crate) async fn dial(address: SocketAddr) -> Step<TcpStream> {
    let stream = connect(address).await.map_err(|error| not_connected(&error))?;
    if is_its_own_peer(&stream) {
        return Err(ProbeOutcome::Refused);
    }
    Ok(stream)
}

/// Whether nobody is there but the socket itself. It happens to a port of this machine that nobody listens on, in the range
/// from which the system takes the ports of clients: by chance it takes that very one, and TCP connects the socket to
/// itself.
fn is_its_own_peer(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(own), Ok(peer)) if own == peer)
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_zero_linger()?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

/// Why no connection came about.
pub(crate) fn not_connected(error: &io::Error) -> ProbeOutcome {
    own_trouble(error).unwrap_or_else(|| match error.kind() {
        io::ErrorKind::ConnectionRefused => ProbeOutcome::Refused,
        io::ErrorKind::TimedOut => ProbeOutcome::TimedOut,
        io::ErrorKind::ConnectionReset => ProbeOutcome::Closed,
        _ => ProbeOutcome::Unreachable,
    })
}

/// Why a connection broke.
pub(crate) fn broken(error: &io::Error) -> ProbeOutcome {
    own_trouble(error).unwrap_or_else(|| match error.kind() {
        io::ErrorKind::TimedOut => ProbeOutcome::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => ProbeOutcome::Unreachable,
        _ => ProbeOutcome::Closed,
    })
}

/// Linux's numbers of errors that have no kind: no file left in the process, none in the system, no memory for sockets.
const OUT_OF_FILES: [i32; 2] = [24, 23];
const OUT_OF_BUFFERS: i32 = 105;

/// What goes wrong on this side and must not count against the instance.
fn own_trouble(error: &io::Error) -> Option<ProbeOutcome> {
    let why = match (error.raw_os_error(), error.kind()) {
        (Some(code), _) if OUT_OF_FILES.contains(&code) => "it has no file descriptor left",
        (Some(OUT_OF_BUFFERS), _) | (_, io::ErrorKind::OutOfMemory) => "it has no memory left for sockets",
        (_, io::ErrorKind::AddrNotAvailable) => "it has no port or address left to dial from",
        (_, io::ErrorKind::PermissionDenied) => "its own system forbids it",
        _ => return None,
    };
    Some(ProbeOutcome::OwnTrouble(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_wrong_here_is_not_held_against_the_instance() {
        for (code, own) in [
            (24, true),
            (23, true),
            (105, true),
            (12, true),
            (99, true),
            (1, true),
            (111, false),
            (113, false),
            (101, false),
            (104, false),
            (110, false),
        ] {
            let error = io::Error::from_raw_os_error(code);
            for outcome in [not_connected(&error), broken(&error)] {
                assert_eq!(matches!(outcome, ProbeOutcome::OwnTrouble(_)), own, "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_socket_that_is_connected_to_itself_has_found_nobody() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let own = socket.local_addr().unwrap();
        let stream = socket.connect(own).await.unwrap();
        assert!(is_its_own_peer(&stream));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = dial(listener.local_addr().unwrap()).await.unwrap();
        assert!(!is_its_own_peer(&stream));
    }

    #[test]
    fn refused_and_unreachable_are_told_apart() {
        let outcome = |code| not_connected(&io::Error::from_raw_os_error(code));
        assert_eq!(outcome(111), ProbeOutcome::Refused);
        assert_eq!(outcome(113), ProbeOutcome::Unreachable);
        assert_eq!(outcome(101), ProbeOutcome::Unreachable);
        assert_eq!(outcome(110), ProbeOutcome::TimedOut);
        assert_eq!(broken(&io::Error::from_raw_os_error(104)), ProbeOutcome::Closed);
    }
}
