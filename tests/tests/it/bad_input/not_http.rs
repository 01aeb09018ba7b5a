//! Bytes that are not HTTP, or hardly.

use beatrix_tests::http1::{Connection, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::registry;

#[tokio::test]
async fn what_is_not_http_harms_nobody() -> anyhow::Result<()> {
    let (mut registry, revision) = registry().await?;
    let mut raw_path = b"GET /api/v1/namespaces/public/groups/DEFAULT_GROUP/services/\xff\xfe".to_vec();
    raw_path.extend_from_slice(b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut endless_head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".to_vec();
    endless_head.extend(std::iter::repeat_n(b'x', 1 << 20));
    let chunk = b"PUT /api/v1/beats HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    for bytes in [
        &raw_path[..],
        &endless_head,
        chunk,
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(registry.addr()).await?;
        // It may close before it has read everything, and how it says no to what is not HTTP is its own affair.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ =
            tokio::time::timeout(beatrix_tests::eventually::SOON, stream.read_to_end(&mut answer)).await?;
        assert!(
            !answer.starts_with(b"HTTP/1.1 2"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    // A connection that is opened before serves on after all of that.
    let mut connection = Connection::open(registry.addr()).await?;
    assert_eq!(
        connection.request(Request::new("GET", "/livez")).await?.status(),
        200
    );
    assert_eq!(registry.revision().await?, revision);
    assert!(registry.process.ended()?.is_none());
    let output = registry.process.output();
    assert!(!output.contains("panicked"), "{output}");
    Ok(())
}
