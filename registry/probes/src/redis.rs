//! A `PING` in Redis's protocol, RESP2, after an `AUTH` if there is a login.
//!
//! Requests are arrays of bulk strings, so that a password may have any byte. Answers that count are one line: `+PONG` is
//! good. Of an error only its first word counts, which is Redis's code of the error.

use beatrix_core::model::RedisProbe;

use crate::outcome::{ProbeOutcome, Step};
use crate::wire::Wire;

/// The longest line that is read. Redis's errors are shorter.
const LINE_MAX: usize = 512;

/// Asks over a fresh connection.
pub(crate) async fn ask(wire: &mut Wire, probe: &RedisProbe) -> Step {
    if let Some((user, password)) = probe.login() {
        let words = ["AUTH"].into_iter().chain(user).chain([password.reveal()]);
        wire.send(&request(&words.collect::<Vec<_>>())).await?;
        // Whatever is said against a login is a login that failed, unless the server says nothing but that it is busy.
        match answer(wire).await {
            Ok(line) if line == b"OK" => {}
            Ok(_) => return Err(ProbeOutcome::BadAnswer("the answer to AUTH is not OK")),
            Err(ProbeOutcome::RedisError) => return Err(ProbeOutcome::AuthFailed),
            Err(other) => return Err(other),
        }
    }
    wire.send(&request(&["PING"])).await?;
    match answer(wire).await? {
        line if line == b"PONG" => Ok(()),
        _ => Err(ProbeOutcome::BadAnswer("the answer to PING is not PONG")),
    }
}

fn request(words: &[&str]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request
}

/// The text of a simple string.
async fn answer(wire: &mut Wire) -> Step<Vec<u8>> {
    let bad = ProbeOutcome::BadAnswer("the answer is not in Redis's protocol");
    // The first byte is judged at once: what speaks another protocol may never send the end of a line.
    match wire.bytes(1).await?.as_slice() {
        b"+" => wire.line(LINE_MAX).await?.ok_or(bad),
        b"-" => Err(error(&wire.line(LINE_MAX).await?.ok_or(bad)?)),
        _ => Err(bad),
    }
}

fn error(line: &[u8]) -> ProbeOutcome {
    let code = line.split(|b| *b == b' ').next().unwrap_or_default();
    match code {
        b"LOADING" => ProbeOutcome::Loading,
        b"MASTERDOWN" => ProbeOutcome::MasterDown,
        b"NOAUTH" | b"WRONGPASS" | b"NOPERM" | b"DENIED" => ProbeOutcome::AuthFailed,
        _ => ProbeOutcome::RedisError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_any_text() {
        assert_eq!(
            request(&["AUTH", "a\r\nü"]),
            "*2\r\n$4\r\nAUTH\r\n$5\r\na\r\nü\r\n".as_bytes()
        );
    }

    #[test]
    fn an_error_is_told_by_its_code() {
        for (line, outcome) in [
            (
                "LOADING Redis is loading the dataset in memory",
                ProbeOutcome::Loading,
            ),
            ("MASTERDOWN Link with MASTER is down", ProbeOutcome::MasterDown),
            ("NOAUTH Authentication required.", ProbeOutcome::AuthFailed),
            (
                "WRONGPASS invalid username-password pair",
                ProbeOutcome::AuthFailed,
            ),
            ("ERR max number of clients reached", ProbeOutcome::RedisError),
            ("", ProbeOutcome::RedisError),
        ] {
            assert_eq!(error(line.as_bytes()), outcome, "{line}");
        }
    }
}
