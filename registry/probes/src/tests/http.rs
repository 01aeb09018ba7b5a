//! What is asked by HTTP, and which answers are good.

use std::sync::{Arc, Mutex};

use beatrix_core::model::{ExpectedStatus, HttpMethod, HttpProbe, ProbeKind, Tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::servers::{Server, drain};
use super::{http, outcome};
use crate::ProbeOutcome;

async fn answering(answer: &str) -> ProbeOutcome {
    let server = Server::saying(answer).await;
    outcome(server.address, http("/", Tls::None)).await
}

#[tokio::test]
async fn the_status_decides() {
    for (answer, what) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            ProbeOutcome::Passed,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", ProbeOutcome::Passed),
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            ProbeOutcome::BadStatus(404),
        ),
        (
            "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
            ProbeOutcome::BadStatus(503),
        ),
    ] {
        assert_eq!(answering(answer).await, what, "{answer}");
    }
}

#[tokio::test]
async fn only_an_expected_status_is_good() {
    let server = Server::saying("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    let expecting = |expected: &str| {
        let expected: ExpectedStatus = expected.parse().unwrap();
        ProbeKind::Http(HttpProbe::new(HttpMethod::Get, "/", [], expected, Tls::None).unwrap())
    };
    assert_eq!(
        outcome(server.address, expecting("404")).await,
        ProbeOutcome::Passed
    );
    assert_eq!(
        outcome(server.address, expecting("200")).await,
        ProbeOutcome::BadStatus(404)
    );
}

#[tokio::test]
async fn rule_12_a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let location = format!("http://{}/", elsewhere.address);
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(answering(&answer).await, ProbeOutcome::Passed);
    let strict = "200".parse().unwrap();
    let strict = ProbeKind::Http(HttpProbe::new(HttpMethod::Get, "/", [], strict, Tls::None).unwrap());
    let server = Server::saying(answer).await;
    assert_eq!(
        outcome(server.address, strict).await,
        ProbeOutcome::BadStatus(302)
    );
    assert_eq!(elsewhere.taken(), 0);
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_a_bad_answer() {
    let server = Server::of(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
        let _ = stream.write_all(head).await;
        let _ = stream.shutdown().await;
        drain(&mut stream).await;
    })
    .await;
    let what = outcome(server.address, http("/", Tls::None)).await;
    assert_eq!(what, ProbeOutcome::BadAnswer("the body was cut short"));
}

/// Sends a probe to a server that notes the request, and gives the request in lower case.
async fn request(method: HttpMethod, path: &str, headers: &[(&str, &str)]) -> (String, std::net::SocketAddr) {
    let noted = Arc::new(Mutex::new(String::new()));
    let note = Arc::clone(&noted);
    let server = Server::of(move |mut stream| {
        let note = Arc::clone(&note);
        async move {
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).await.unwrap();
            *note.lock().unwrap() = String::from_utf8_lossy(&bytes[..length]).to_lowercase();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            drain(&mut stream).await;
        }
    })
    .await;
    let expected = ExpectedStatus::default();
    let headers = headers.iter().copied();
    let probe = HttpProbe::new(method, path, headers, expected, Tls::None).unwrap();
    let what = outcome(server.address, ProbeKind::Http(probe)).await;
    assert_eq!(what, ProbeOutcome::Passed);
    let request = noted.lock().unwrap().clone();
    (request, server.address)
}

#[tokio::test]
async fn what_is_asked_is_what_was_said() {
    for (method, path, line) in [
        (
            HttpMethod::Get,
            "/health?deep=1",
            "get /health?deep=1 http/1.1\r\n",
        ),
        (HttpMethod::Head, "/", "head / http/1.1\r\n"),
        (HttpMethod::Options, "/", "options / http/1.1\r\n"),
        (HttpMethod::Post, "/check", "post /check http/1.1\r\n"),
        // What looks like another host is a path.
        (
            HttpMethod::Get,
            "//other.example/a",
            "get //other.example/a http/1.1\r\n",
        ),
        (
            HttpMethod::Get,
            "/@other.example:1/",
            "get /@other.example:1/ http/1.1\r\n",
        ),
    ] {
        let (request, address) = request(method, path, &[("X-Probe", "a b"), ("X-Probe", "c")]).await;
        assert!(request.starts_with(line), "{request}");
        assert!(request.contains(&format!("\r\nhost: {address}\r\n")), "{request}");
        assert!(
            request.contains("\r\nx-probe: a b\r\nx-probe: c\r\n"),
            "{request}"
        );
        assert!(request.contains("\r\nconnection: close\r\n"), "{request}");
        assert!(request.contains("\r\nuser-agent: beatrix/"), "{request}");
        assert!(!request.contains("accept-encoding"), "{request}");
    }
    // A server may wait for the body of a POST that does not say that it has none.
    let (post, _) = request(HttpMethod::Post, "/", &[]).await;
    assert!(post.contains("\r\ncontent-length: 0\r\n"), "{post}");
}

#[tokio::test]
async fn a_host_header_takes_the_place_of_the_address() {
    let (request, _) = request(HttpMethod::Get, "/", &[("Host", "orders.example")]).await;
    assert_eq!(request.matches("\r\nhost: ").count(), 1, "{request}");
    assert!(request.contains("\r\nhost: orders.example\r\n"), "{request}");
}
