//! A request as bytes.

/// A request that is built up piece by piece and then sent as it is.
#[derive(Debug, Clone)]
pub struct Request {
    head: Vec<u8>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// A request for `target`, which is sent byte by byte as given, valid or not.
    #[must_use]
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        let mut head = method.as_bytes().to_vec();
        head.push(b' ');
        head.extend_from_slice(target.as_ref());
        head.extend_from_slice(b" HTTP/1.1\r\nHost: localhost\r\n");
        Self { head, body: None }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head
            .extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        self
    }

    /// Adds a body of any media type.
    #[must_use]
    pub fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self.header("Content-Type", media_type)
    }

    /// Adds a JSON body.
    #[must_use]
    pub fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.body("application/json", body)
    }

    /// Adds a form body.
    #[must_use]
    pub fn form(self, body: impl Into<Vec<u8>>) -> Self {
        self.body("application/x-www-form-urlencoded", body)
    }

    /// All bytes of the request.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        let Self { mut head, body } = self;
        if let Some(body) = body {
            head.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            head.extend_from_slice(&body);
        } else {
            // A write without a body says so, as clients do.
            if !head.starts_with(b"GET ") {
                head.extend_from_slice(b"Content-Length: 0\r\n");
            }
            head.extend_from_slice(b"\r\n");
        }
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_brings_its_length() {
        let bytes = Request::new("PUT", "/a").json("{}").into_bytes();
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.ends_with("Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"),
            "{text}"
        );
    }

    #[test]
    fn a_target_is_sent_as_it_is() {
        let bytes = Request::new("GET", b"/\xff\xfe").into_bytes();
        assert!(bytes.starts_with(b"GET /\xff\xfe HTTP/1.1\r\n"));
    }
}
