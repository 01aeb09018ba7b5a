//! What persistent instances are in tests: listeners on this machine.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The peers of one item of the checklist, by the word that stands in its steps.
#[derive(Debug, Default)]
pub(crate) struct Peers(BTreeMap<String, u16>);

impl Peers {
    /// The step with ports in the place of words.
    pub(crate) async fn placed(&mut self, step: &str) -> String {
        let mut placed = step.to_owned();
        for word in ["open", "closed", "500", "503", "204"] {
            let placeholder = format!("{{{word}}}");
            if placed.contains(&placeholder) {
                placed = placed.replace(&placeholder, &self.port(word).await.to_string());
            }
        }
        placed
    }

    async fn port(&mut self, word: &str) -> u16 {
        if let Some(port) = self.0.get(word) {
            return *port;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        self.0.insert(word.to_owned(), port);
        // Nobody listens once the listener is dropped.
        if word != "closed" {
            tokio::spawn(answer(listener, word.parse().ok()));
        }
        port
    }
}

/// Takes connections; answers each request with a status, if there is one.
async fn answer(listener: TcpListener, status: Option<u16>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let Some(status) = status else { continue };
        tokio::spawn(async move {
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.unwrap_or_default();
            if read > 0 {
                let length = if status == 204 {
                    ""
                } else {
                    "Content-Length: 0\r\n"
                };
                let answer = format!("HTTP/1.1 {status} Status\r\n{length}\r\n");
                let _the_other_side_may_have_gone = stream.write_all(answer.as_bytes()).await;
            }
        });
    }
}
