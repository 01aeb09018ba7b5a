//! Redis's protocol.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::servers::Server;
use super::{outcome, redis};
use crate::ProbeOutcome;

/// A server that wants a password and a `PING`, or says `instead` to everything.
async fn server(instead: &'static str) -> Server {
    Server::of(move |mut stream| async move {
        let mut request = [0; 256];
        while let Ok(length @ 1..) = stream.read(&mut request).await {
            let answer = match &request[..length] {
                _ if !instead.is_empty() => instead,
                b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n" => "+OK\r\n",
                b"*1\r\n$4\r\nPING\r\n" => "+PONG\r\n",
                _ => "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn pong_is_good_with_and_without_a_login() {
    let server = server("").await;
    assert_eq!(outcome(server.address, redis(None)).await, ProbeOutcome::Passed);
    assert_eq!(
        outcome(server.address, redis(Some("secret"))).await,
        ProbeOutcome::Passed
    );
    assert_eq!(
        outcome(server.address, redis(Some("wrong"))).await,
        ProbeOutcome::AuthFailed
    );
}

#[tokio::test]
async fn errors_are_told_apart() {
    for (answer, what) in [
        (
            "-LOADING Redis is loading the dataset in memory\r\n",
            ProbeOutcome::Loading,
        ),
        (
            "-MASTERDOWN Link with MASTER is down\r\n",
            ProbeOutcome::MasterDown,
        ),
        ("-NOAUTH Authentication required.\r\n", ProbeOutcome::AuthFailed),
        ("-ERR max number of clients reached\r\n", ProbeOutcome::RedisError),
        (
            "+WHAT\r\n",
            ProbeOutcome::BadAnswer("the answer to PING is not PONG"),
        ),
        (
            ":1\r\n",
            ProbeOutcome::BadAnswer("the answer is not in Redis's protocol"),
        ),
    ] {
        let server = server(answer).await;
        assert_eq!(outcome(server.address, redis(None)).await, what, "{answer}");
    }
    // What comes before the login says nothing about the password.
    let server = server("-LOADING Redis is loading the dataset in memory\r\n").await;
    assert_eq!(
        outcome(server.address, redis(Some("secret"))).await,
        ProbeOutcome::Loading
    );
}
