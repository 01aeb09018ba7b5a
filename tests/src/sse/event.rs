//! One event.

use beatrix_wire::watch::{DELTA, HELLO, SNAPSHOT};
use beatrix_wire::{Hello, ServiceDelta, ServiceView};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

/// An event as it arrived.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its id, with which a stream can be resumed.
    pub id: String,
    /// Its data.
    pub data: String,
    /// When its last byte arrived.
    pub at: Instant,
}

impl Event {
    /// Reads an event from its lines; `None` when it has none but comments.
    pub(super) fn parse(text: &str, at: Instant) -> Option<Self> {
        let mut event = Self {
            name: String::new(),
            id: String::new(),
            data: String::new(),
            at,
        };
        for line in text.lines() {
            let (field, value) = line.split_once(':')?;
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.name),
                "id" => value.clone_into(&mut event.id),
                "data" => event.data.push_str(value),
                // A comment, or a field that is not for us.
                _ => {}
            }
        }
        (!event.name.is_empty()).then_some(event)
    }

    /// The greeting, if this is it.
    #[must_use]
    pub fn hello(&self) -> Option<Hello> {
        self.read(HELLO)
    }

    /// The whole service, if this carries one.
    #[must_use]
    pub fn snapshot(&self) -> Option<ServiceView> {
        self.read(SNAPSHOT)
    }

    /// What changed in a service, if this carries it.
    #[must_use]
    pub fn delta(&self) -> Option<ServiceDelta> {
        self.read(DELTA)
    }

    /// # Panics
    ///
    /// When the event has the name but not the shape.
    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        if self.name != name {
            return None;
        }
        match serde_json::from_str(&self.data) {
            Ok(value) => Some(value),
            Err(error) => panic!("{error} in the event `{name}`: {}", self.data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read() {
        let event = Event::parse("id: e.7\nevent: ping\ndata: {}", Instant::now()).unwrap();
        assert_eq!(
            (&event.name[..], &event.id[..], &event.data[..]),
            ("ping", "e.7", "{}")
        );
    }

    #[test]
    fn a_comment_is_no_event() {
        assert!(Event::parse(": still here", Instant::now()).is_none());
    }
}
