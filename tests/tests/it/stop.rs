//! Asked to stop, the registry says goodbye: not ready, streams end, exit code 0.

use std::io::ErrorKind;

use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::http1;
use beatrix_tests::native::standing;
use beatrix_tests::process::Signal;
use beatrix_tests::registry::Registry;
use beatrix_tests::sse::Event;

#[tokio::test]
async fn sigterm_ends_streams_and_the_process_in_order() -> anyhow::Result<()> {
    let mut registry = Registry::start().await?;
    registry
        .native()
        .register("orders", "10.0.0.1:80", &standing())
        .await?;
    let mut stream = registry.native().watch(&["orders"], None).await?;
    stream.find("a snapshot", SOON, Event::snapshot).await?;

    registry.signal(Signal::Term)?;

    // Whoever asks is told that it is not ready, or finds the door closed.
    let addr = registry.addr();
    eventually("the registry is not ready", SOON, async || {
        match http1::get(addr, "/readyz").await {
            Ok(answer) => (answer.status() == 503).then_some(()),
            Err(error) => matches!(
                error.kind(),
                ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
            )
            .then_some(()),
        }
    })
    .await;

    // The stream ends with its last chunk, as HTTP has it; a connection that breaks would be an error here.
    let end = tokio::time::timeout(SOON, async {
        while let Some(event) = stream.next().await? {
            assert_eq!(event.name, "ping", "{event:?}");
        }
        anyhow::Ok(())
    });
    end.await??;

    let status = registry.process.end(SOON).await;
    assert_eq!(status.code(), Some(0), "{status}");
    Ok(())
}

#[tokio::test]
async fn sigterm_ends_an_idle_registry() -> anyhow::Result<()> {
    let mut registry = Registry::start().await?;
    registry.signal(Signal::Term)?;
    let status = registry.process.end(SOON).await;
    assert_eq!(status.code(), Some(0), "{status}");
    Ok(())
}
