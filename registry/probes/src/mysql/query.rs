//! One query and its result, of which nothing is looked at but whether it is an error; and of one query, one value.

use super::packet::{Fields, MALFORMED, Packets};
use crate::outcome::{ProbeOutcome, Step};
use crate::wire::TOO_LONG;

/// The one query whose answer counts. Nacos 2.x: compared as a text; here capitals, spacing and a semicolon at the end make
/// no difference.
pub(super) const READ_ONLY_QUERY: &str = "show global variables where variable_name='read_only'";

const COM_QUERY: u8 = 3;

/// Asks, and reads the result to its end, since an error may come after rows.
pub(super) async fn query(packets: &mut Packets, command: &str) -> Step {
    let mut payload = vec![COM_QUERY];
    payload.extend_from_slice(command.as_bytes());
    packets.command(&payload).await?;
    match result(packets, asks_read_only(command)).await {
        // It answers, and at length.
        Err(outcome) if outcome == TOO_LONG => Ok(()),
        other => other,
    }
}

async fn result(packets: &mut Packets, read_only: bool) -> Step {
    let first = packets.read().await?;
    let columns = match first.as_slice() {
        [0, ..] if !read_only => return Ok(()),
        [0xff, ..] => return Err(super::error(&first)),
        [0xfb, ..] => return Err(ProbeOutcome::BadAnswer("the server asks for a file")),
        _ => Fields(&first).length()?,
    };
    for _ in 0..columns {
        let definition = packets.read().await?;
        if definition[0] == 0xff {
            return Err(super::error(&definition));
        }
    }
    if !is_end(&packets.read().await?) {
        return Err(MALFORMED);
    }
    let mut rows = 0_u32;
    loop {
        let row = packets.read().await?;
        if is_end(&row) {
            break;
        }
        if row[0] == 0xff {
            return Err(super::error(&row));
        }
        if read_only && rows == 0 {
            writable(&row)?;
        }
        rows = rows.saturating_add(1);
    }
    if read_only && rows == 0 {
        return Err(ProbeOutcome::BadAnswer(
            "the server does not say whether it is read-only",
        ));
    }
    Ok(())
}

/// The packet after the columns and after the rows.
fn is_end(payload: &[u8]) -> bool {
    payload[0] == 0xfe && payload.len() < 9
}

fn asks_read_only(command: &str) -> bool {
    let words = command
        .trim_end_matches([';', ' ', '\t', '\r', '\n'])
        .split_whitespace();
    let bare = words.collect::<Vec<_>>().join(" ");
    bare.replace(" = ", "=").eq_ignore_ascii_case(READ_ONLY_QUERY)
}

/// The second value of the row says it. Nacos 2.x: `ON` is bad. Newer servers know other ways to be read-only, so that
/// here all but `OFF` is.
fn writable(row: &[u8]) -> Step {
    let mut fields = Fields(row);
    let _name = fields.value()?;
    match fields.value()? {
        Some(value) if value.eq_ignore_ascii_case(b"off") || value == b"0" => Ok(()),
        Some(_) => Err(ProbeOutcome::ReadOnly),
        None => Err(MALFORMED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_for_a_replica_is_known_however_it_is_spelt() {
        assert!(asks_read_only(READ_ONLY_QUERY));
        assert!(asks_read_only(
            " SHOW  GLOBAL variables\nwhere Variable_name = 'read_only' ; "
        ));
        assert!(!asks_read_only("select 1"));
        assert!(!asks_read_only(
            "show global variables where variable_name='super_read_only'"
        ));
    }

    #[test]
    fn all_but_off_is_read_only() {
        assert_eq!(writable(b"\x09read_only\x03OFF"), Ok(()));
        assert_eq!(writable(b"\x09read_only\x02ON"), Err(ProbeOutcome::ReadOnly));
        assert_eq!(writable(b"\x09read_only\x07NO_LOCK"), Err(ProbeOutcome::ReadOnly));
        assert_eq!(writable(b"\x09read_only\xfb"), Err(MALFORMED));
        assert_eq!(writable(b"\x09read_only"), Err(MALFORMED));
    }
}
