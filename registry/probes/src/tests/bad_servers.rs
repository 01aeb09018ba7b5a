//! What comes of servers that are not there, hang, dribble, break off, talk nonsense, or never stop talking.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use beatrix_core::model::{ProbeKind, Tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::mysql::{GREETING, OK, packet};
use super::servers::{Server, drain, nobody};
use super::{TIMEOUT, asking, grpc, http, mysql, outcome, probe, redis};
use crate::ProbeOutcome;

#[tokio::test]
async fn where_nobody_listens_every_kind_is_refused() {
    let address = nobody().await;
    for kind in asking().into_iter().chain([ProbeKind::Tcp]) {
        assert_eq!(outcome(address, kind).await, ProbeOutcome::Refused);
    }
}

#[tokio::test]
async fn tcp_asks_for_no_more_than_a_connection_and_leaves_nothing_of_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let verdict = probe(address, ProbeKind::Tcp).await;
    assert!(verdict.good && verdict.counts() && verdict.took < TIMEOUT);
    // It ends with a reset: a FIN would be read as the end, and leave the connection waiting.
    let (mut stream, _) = listener.accept().await.unwrap();
    let error = stream.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// The server stops the clock when the probe has connected; time then leaps to the next thing that is waited for.
#[tokio::test]
async fn a_server_that_takes_the_connection_and_says_nothing_is_timed_out_and_let_go() {
    // With TLS, it hangs in the middle of the handshake.
    let secure = [http("/", Tls::Unverified), grpc("", Tls::Unverified)];
    for kind in asking().into_iter().chain(secure) {
        let mut server = Server::of(|mut stream| async move {
            tokio::time::pause();
            drain(&mut stream).await;
        })
        .await;
        let verdict = probe(server.address, kind.clone()).await;
        tokio::time::resume();
        assert_eq!(verdict.what, ProbeOutcome::TimedOut, "{kind:?}");
        let late = verdict.took.saturating_sub(TIMEOUT);
        assert!(
            verdict.took >= TIMEOUT && late < Duration::from_secs(1),
            "{kind:?}"
        );
        server.left_alone().await;
        assert_eq!(server.taken(), 1);
    }
}

/// A good answer, a byte a second: each byte comes well within the timeout, the whole does not.
#[tokio::test]
async fn a_server_that_answers_byte_by_byte_is_timed_out() {
    let good = |kind: &ProbeKind| match kind {
        ProbeKind::Http(_) => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec(),
        ProbeKind::Grpc(_) => b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0".to_vec(),
        ProbeKind::Mysql(_) => GREETING.to_vec(),
        _ => b"+PONG xxxxxxxxxxxx".to_vec(),
    };
    for kind in asking() {
        let answer = good(&kind);
        let server = Server::of(move |mut stream| {
            let answer = answer.clone();
            async move {
                tokio::time::pause();
                for byte in answer {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    let _ = stream.write_all(&[byte]).await;
                }
                drain(&mut stream).await;
            }
        })
        .await;
        assert_eq!(
            outcome(server.address, kind.clone()).await,
            ProbeOutcome::TimedOut,
            "{kind:?}"
        );
        tokio::time::resume();
    }
}

/// The head of the answer is good, and comes at once.
#[tokio::test]
async fn an_answer_that_hangs_in_the_middle_is_timed_out() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let server = Server::of(move |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(head).await.unwrap();
        tokio::time::pause();
        drain(&mut stream).await;
    })
    .await;
    assert_eq!(
        outcome(server.address, http("/", Tls::None)).await,
        ProbeOutcome::TimedOut
    );
}

#[tokio::test]
async fn a_server_that_closes_without_an_answer_is_told_apart_from_one_that_is_not_there() {
    for kind in asking() {
        // Once with the request read, so that it closes, and once without, so that it resets.
        for reads in [true, false] {
            let server = Server::of(move |mut stream| async move {
                if reads {
                    let _ = stream.read(&mut [0; 4096]).await;
                }
            })
            .await;
            // MySQL's client is spoken to first: it would wait for the client.
            if reads && matches!(kind, ProbeKind::Mysql(_)) {
                continue;
            }
            let what = outcome(server.address, kind.clone()).await;
            assert_eq!(what, ProbeOutcome::Closed, "{kind:?} {reads}");
        }
    }
}

#[tokio::test]
async fn what_speaks_another_protocol_or_none_is_a_bad_answer() {
    let answers: [&[u8]; 5] = [
        &[0x13; 400],
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
        b"220 mail.example ESMTP\r\n",
        b"\x15\x03\x01\0\x02\x02\x50",
        b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n",
    ];
    for answer in answers {
        for kind in asking() {
            let server = Server::of(move |mut stream| async move {
                let _ = stream.write_all(answer).await;
                // What is short ends here, so that nobody waits for the rest of it.
                let _ = stream.shutdown().await;
                drain(&mut stream).await;
            })
            .await;
            let what = outcome(server.address, kind.clone()).await;
            let bad = matches!(what, ProbeOutcome::BadAnswer(_));
            assert!(bad, "{kind:?} {}: {what:?}", answer.escape_ascii());
        }
    }
}

#[tokio::test]
async fn http_is_no_answer_to_what_does_not_ask_by_http() {
    for kind in [grpc("", Tls::None), mysql("u", "p", ""), redis(None)] {
        let server = Server::of(|mut stream| async move {
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
            drain(&mut stream).await;
        })
        .await;
        let what = outcome(server.address, kind.clone()).await;
        assert!(matches!(what, ProbeOutcome::BadAnswer(_)), "{kind:?}: {what:?}");
    }
}

/// `head`, and then `body` again and again, as long as the client takes it. Gives how much it took, all buffers on the way
/// included.
async fn endless(kind: ProbeKind, head: Vec<u8>, body: Vec<u8>) -> (ProbeOutcome, usize) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let mut server = Server::of(move |mut stream| {
        let (head, body, sent) = (head.clone(), body.clone(), Arc::clone(&count));
        async move {
            if !head.starts_with(GREETING) {
                let _ = stream.read(&mut [0; 4096]).await;
            }
            let mut next = &head;
            while let Ok(bytes) = stream.write(next).await {
                sent.fetch_add(bytes, Ordering::Relaxed);
                next = &body;
            }
        }
    })
    .await;
    let what = outcome(server.address, kind).await;
    server.left_alone().await;
    (what, sent.load(Ordering::Relaxed))
}

/// Far more than is read, because the sockets' buffers take what they can; far less than goes through in the timeout.
const BUFFERED_MAX: usize = 32 * 1024 * 1024;

#[tokio::test]
async fn of_an_endless_answer_no_more_is_read_than_the_bound() {
    let x = || vec![b'x'; 16 * 1024];
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let chunk = [b"4000\r\n".as_slice(), &x(), b"\r\n"].concat();
    let rows = [
        GREETING,
        &packet(2, OK),
        &packet(1, &[1]),
        &packet(2, b"column"),
        &packet(3, b"\xfe\0\0\0\0"),
    ];
    for (kind, head, body, good) in [
        (http("/", Tls::None), chunked, chunk, true),
        (
            http("/", Tls::None),
            b"HTTP/1.1 200 OK\r\n".to_vec(),
            b"a: b\r\n".repeat(1_000),
            false,
        ),
        (redis(None), b"+PONG".to_vec(), x(), false),
        (mysql("u", "p", ""), rows.concat(), packet(4, &x()), false),
        (
            mysql("u", "p", ""),
            [GREETING, b"\xff\xff\xff\x02"].concat(),
            x(),
            false,
        ),
        (grpc("", Tls::None), b"\0\0\0\x04\0\0\0\0\0".to_vec(), x(), false),
    ] {
        let (what, sent) = endless(kind.clone(), head, body).await;
        assert_eq!(what == ProbeOutcome::Passed, good, "{kind:?}: {what:?}");
        assert!(sent < BUFFERED_MAX, "{kind:?} took {sent} bytes");
    }
}

#[tokio::test]
async fn a_probe_that_is_dropped_takes_its_connection_along() {
    for kind in asking() {
        let (taken, mut noted) = tokio::sync::mpsc::channel(1);
        let mut server = Server::of(move |mut stream| {
            let taken = taken.clone();
            async move {
                taken.send(()).await.unwrap();
                drain(&mut stream).await;
            }
        })
        .await;
        // In a task, as whoever keeps a schedule runs it.
        let asking = tokio::spawn(probe(server.address, kind));
        noted.recv().await.unwrap();
        asking.abort();
        server.left_alone().await;
    }
}
