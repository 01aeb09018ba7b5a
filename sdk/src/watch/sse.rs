//! Server-Sent Events, read incrementally: chunks may be cut anywhere, even inside a character.
//!
//! After the WHATWG's HTML standard, "9.2 Server-sent events", with two differences. An event may not be longer
//! than a bound, since what the other side sends is not ours to trust. And `retry` is ignored: how long to wait
//! before reconnecting is this client's business.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its type; `message` if it has none.
    pub(crate) name: String,
    /// The last `id` seen up to this event; empty if there was none, or an empty one.
    pub(crate) id: String,
    pub(crate) data: String,
}

/// The event or line being read is longer than the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {0} bytes")]
pub(crate) struct TooLong(pub(crate) usize);

/// The state between two chunks.
#[derive(Debug)]
pub(crate) struct Parser {
    event_len_max: usize,
    line: Vec<u8>,
    /// The last byte was a CR, whose line is done; an LF now belongs to it.
    after_cr: bool,
    /// No line was completed yet: the first may start with a byte order mark.
    at_start: bool,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    id: Vec<u8>,
}

impl Parser {
    pub(crate) fn new(event_len_max: usize) -> Self {
        Self {
            event_len_max,
            line: Vec::new(),
            after_cr: false,
            at_start: true,
            name: Vec::new(),
            data: Vec::new(),
            has_data: false,
            id: Vec::new(),
        }
    }

    /// Reads on; events that are complete now are put at the end of `events`.
    ///
    /// # Errors
    /// After an error the stream cannot be read on: what follows is the rest of what was too long.
    pub(crate) fn push(&mut self, mut chunk: &[u8], events: &mut Vec<Event>) -> Result<(), TooLong> {
        if self.after_cr && !chunk.is_empty() {
            self.after_cr = false;
            chunk = chunk.strip_prefix(b"\n").unwrap_or(chunk);
        }
        while let Some(end) = chunk.iter().position(|&byte| byte == b'\n' || byte == b'\r') {
            self.extend_line(&chunk[..end])?;
            let ended_by_cr = chunk[end] == b'\r';
            chunk = &chunk[end + 1..];
            if ended_by_cr {
                match chunk.split_first() {
                    Some((b'\n', rest)) => chunk = rest,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            events.extend(self.end_line());
        }
        self.extend_line(chunk)
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.data.len() + self.line.len() + bytes.len() > self.event_len_max {
            return Err(TooLong(self.event_len_max));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Option<Event> {
        let mut line = std::mem::take(&mut self.line);
        let was_at_start = std::mem::take(&mut self.at_start);
        let content = if was_at_start {
            line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line)
        } else {
            &line
        };
        let event = if content.is_empty() {
            self.dispatch()
        } else {
            let (field, value) = split_field(content);
            self.take_field(field, value);
            None
        };
        // The buffer is kept: lines of a stream are much alike.
        line.clear();
        self.line = line;
        event
    }

    fn take_field(&mut self, field: &[u8], value: &[u8]) {
        match field {
            b"event" => self.name = value.to_vec(),
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"id" if !value.contains(&0) => self.id = value.to_vec(),
            // A comment has an empty field name.
            _ => {}
        }
    }

    fn dispatch(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        if !std::mem::take(&mut self.has_data) {
            return None;
        }
        Some(Event {
            name: if name.is_empty() {
                "message".into()
            } else {
                text(&name)
            },
            id: text(&self.id),
            data: String::from_utf8(data)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        })
    }
}

/// The name before the first colon, and what follows it less one space.
fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|&byte| byte == b':') {
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, b""),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, id: &str, data: &str) -> Event {
        Event {
            name: name.into(),
            id: id.into(),
            data: data.into(),
        }
    }

    fn parse(chunks: &[&[u8]]) -> Vec<Event> {
        let (mut parser, mut events) = (Parser::new(1 << 16), Vec::new());
        for chunk in chunks {
            parser.push(chunk, &mut events).unwrap();
        }
        events
    }

    /// All that the format allows, at once.
    const STREAM: &str = "\u{FEFF}: a comment\nevent: hello\nid: e.1\ndata: {}\n\nid: e.2\r\nevent:snapshot\r\n\
        data: first é\r\ndata:\r\ndata:  third 🌍\r\n\r\ndata: cr only\revent: delta\r\rretry: 10\nunknown: x\n\
        nocolon\ndata\n\n: ping\n\nevent: dropped without data\n\nid\ndata: reset id\n\ndata: never finished\n";

    fn expected() -> Vec<Event> {
        vec![
            event("hello", "e.1", "{}"),
            event("snapshot", "e.2", "first é\n\n third 🌍"),
            event("delta", "e.2", "cr only"),
            event("message", "e.2", ""),
            event("message", "", "reset id"),
        ]
    }

    #[test]
    fn a_whole_stream_gives_its_events() {
        assert_eq!(parse(&[STREAM.as_bytes()]), expected());
    }

    #[test]
    fn it_does_not_matter_where_chunks_are_cut() {
        let bytes = STREAM.as_bytes();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let chunks = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(parse(&chunks), expected(), "cut at {first} and {second}");
            }
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(parse(&single), expected());
    }

    #[test]
    fn an_event_beyond_the_bound_is_an_error_in_one_line_or_in_many() {
        let mut parser = Parser::new(10);
        assert_eq!(parser.push(b"data: 1234\n\n", &mut Vec::new()), Ok(()));
        assert_eq!(parser.push(b"data: 12345", &mut Vec::new()), Err(TooLong(10)));

        let mut parser = Parser::new(10);
        assert_eq!(parser.push(b"data:1\ndata:2\n", &mut Vec::new()), Ok(()));
        assert_eq!(parser.push(b"data:34567\n", &mut Vec::new()), Err(TooLong(10)));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_an_id_with_a_zero_is_ignored() {
        assert_eq!(
            parse(&[b"id: a\ndata: \xFF\n\nid: b\0\ndata: x\n\n"]),
            [event("message", "a", "\u{FFFD}"), event("message", "a", "x"),]
        );
    }
}
