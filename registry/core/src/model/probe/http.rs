//! What is asked by HTTP, and which answers are good.

use std::fmt;
use std::str::FromStr;

use super::super::Invalid;
use super::{Secret, Tls};

/// How many bytes the path of an [`HttpProbe`] may have, its query included.
pub const HTTP_PATH_BYTES_MAX: usize = 1024;
/// How many headers an [`HttpProbe`] may have.
pub const HTTP_HEADERS_MAX: usize = 16;
/// How many bytes the headers of an [`HttpProbe`] may have together, names and values.
pub const HTTP_HEADERS_BYTES_MAX: usize = 4 * 1024;
/// How many codes and ranges an [`ExpectedStatus`] may have.
pub const STATUS_RANGES_MAX: usize = 16;

/// Headers that are the connection's or the message's own. Whoever could set them could make of one request two.
const HEADERS_REFUSED: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Names in lower case, and values.
type Headers = Box<[(Box<str>, Secret)]>;

/// What to ask by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    method: HttpMethod,
    path: Box<str>,
    headers: Headers,
    expected: ExpectedStatus,
    tls: Tls,
}

/// The methods by which one may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HttpMethod {
    /// `GET`.
    #[default]
    Get,
    /// `HEAD`.
    Head,
    /// `OPTIONS`.
    Options,
    /// `POST`, without a body.
    Post,
}

/// The status codes that are good answers: a list of codes and ranges, such as `200-399` or `200,204,301-302`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedStatus(Box<[(u16, u16)]>);

impl HttpProbe {
    /// Checks what is to be asked. A `Host` header takes the place of the one that is made from the address.
    ///
    /// # Errors
    /// Names `path`, `headers` or the header that breaks its rule; the value of a header is not repeated.
    pub fn new<'a>(
        method: HttpMethod,
        path: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        expected: ExpectedStatus,
        tls: Tls,
    ) -> Result<Self, Invalid> {
        check_path(path)?;
        Ok(Self {
            method,
            path: path.into(),
            headers: check_headers(headers)?,
            expected,
            tls,
        })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> HttpMethod {
        self.method
    }

    /// The path, with a query if there is one. It begins with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The headers, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.headers.iter().map(|(name, value)| (&**name, value))
    }

    /// Which answers are good.
    #[must_use]
    pub fn expected(&self) -> &ExpectedStatus {
        &self.expected
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn tls(&self) -> &Tls {
        &self.tls
    }
}

impl HttpMethod {
    /// The method as it goes into a request.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
        }
    }
}

impl FromStr for HttpMethod {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::Get, Self::Head, Self::Options, Self::Post]
            .into_iter()
            .find(|method| method.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| Invalid::new("method", "must be GET, HEAD, OPTIONS or POST", text))
    }
}

impl ExpectedStatus {
    /// Whether a status is a good answer.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

/// `200-399`: what is no error. Kubernetes takes the same for good.
impl Default for ExpectedStatus {
    fn default() -> Self {
        Self(Box::new([(200, 399)]))
    }
}

impl FromStr for ExpectedStatus {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || {
            let rule = "must be at most 16 codes or ranges of codes from 100 to 999, as in 200-299,404";
            Invalid::new("expected_status", rule, text)
        };
        let code = |text: &str| {
            let text = text.trim();
            let digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u16>().ok().filter(|code| digits && *code >= 100)
        };
        let range = |text: &str| {
            let (from, to) = text.split_once('-').unwrap_or((text, text));
            let (from, to) = (code(from)?, code(to)?);
            (from <= to).then_some((from, to))
        };
        // One more than may be is enough to know that there are too many.
        let ranges: Option<Box<[_]>> = text.split(',').take(STATUS_RANGES_MAX + 1).map(range).collect();
        ranges
            .filter(|ranges| ranges.len() <= STATUS_RANGES_MAX)
            .map(Self)
            .ok_or_else(invalid)
    }
}

/// As it is read.
impl fmt::Display for ExpectedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (from, to)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            if from == to {
                write!(f, "{comma}{from}")?;
            } else {
                write!(f, "{comma}{from}-{to}")?;
            }
        }
        Ok(())
    }
}

/// A fragment would not be sent, and a backslash would be sent as a slash: neither is what was asked for.
fn check_path(path: &str) -> Result<(), Invalid> {
    let bad = |c: char| c.is_control() || c == '#' || c == '\\';
    if path.starts_with('/') && path.len() <= HTTP_PATH_BYTES_MAX && !path.chars().any(bad) {
        return Ok(());
    }
    let rule = r"must begin with '/' and be at most 1024 bytes without control characters, '#' and '\'";
    Err(Invalid::new("path", rule, path))
}

fn check_headers<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Headers, Invalid> {
    let mut checked = Vec::new();
    let mut bytes = 0;
    for (name, value) in headers {
        if checked.len() == HTTP_HEADERS_MAX {
            return Err(Invalid::new("headers", "must be at most 16", "more"));
        }
        bytes += name.len() + value.len();
        if bytes > HTTP_HEADERS_BYTES_MAX {
            let found = format!("{bytes} bytes");
            return Err(Invalid::new(
                "headers",
                "must be at most 4096 bytes together",
                &found,
            ));
        }
        let name = header_name(name)?;
        check_value(
            &name,
            value,
            checked.iter().any(|(other, _): &(Box<str>, _)| *other == name),
        )?;
        checked.push((name, value.into()));
    }
    Ok(checked.into())
}

/// The name in lower case. RFC 9110: a name is a token.
fn header_name(name: &str) -> Result<Box<str>, Invalid> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(Invalid::new(
            "headers",
            "must have names of letters, digits and '-'",
            name,
        ));
    }
    let name = name.to_ascii_lowercase();
    if HEADERS_REFUSED.contains(&name.as_str()) {
        return Err(Invalid::new(
            "headers",
            "must not be those of the connection itself",
            &name,
        ));
    }
    Ok(name.into())
}

/// The error names the header only: its value may be a secret.
fn check_value(name: &str, value: &str, again: bool) -> Result<(), Invalid> {
    if !value.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)) {
        let rule = "must have values of visible ASCII characters, spaces and tabs";
        return Err(Invalid::new("headers", rule, name));
    }
    let host = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    if name == "host" && (again || value.is_empty() || !value.bytes().all(host)) {
        let rule = "must name the host once, as name, name:port, address or [address]:port";
        return Err(Invalid::new("headers", rule, name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(path: &str, headers: &[(&str, &str)]) -> Result<HttpProbe, Invalid> {
        HttpProbe::new(
            HttpMethod::Get,
            path,
            headers.iter().copied(),
            ExpectedStatus::default(),
            Tls::None,
        )
    }

    #[test]
    fn a_path_is_one_line_that_is_sent_as_it_is() {
        for (path, ok) in [
            ("/", true),
            ("/health?deep=1", true),
            ("//a/b", true),
            ("/ü x", true),
            ("", false),
            ("health", false),
            ("http://a/", false),
            ("/a\r\nb: c", false),
            ("/a#b", false),
            ("/a\\b", false),
        ] {
            assert_eq!(probe(path, &[]).is_ok(), ok, "{path}");
        }
        assert!(probe(&format!("/{}", "a".repeat(1023)), &[]).is_ok());
        assert!(probe(&format!("/{}", "a".repeat(1024)), &[]).is_err());
    }

    #[test]
    fn a_header_can_neither_frame_the_request_nor_end_it() {
        for (name, value, ok) in [
            ("X-Probe", "a b", true),
            ("Authorization", "Bearer x", true),
            ("Host", "orders.example:8080", true),
            ("host", "[2001:db8::1]:80", true),
            ("Host", "", false),
            ("Host", "a, b", false),
            ("Host", "a/b", false),
            ("Host", "a@b", false),
            ("X-Probe", "a\r\nb: c", false),
            ("X-Probe", "ü", false),
            ("X Probe", "a", false),
            ("X:Probe", "a", false),
            ("", "a", false),
            ("Content-Length", "5", false),
            ("transfer-encoding", "chunked", false),
            ("Connection", "keep-alive", false),
        ] {
            assert_eq!(probe("/", &[(name, value)]).is_ok(), ok, "{name}: {value}");
        }
        assert!(probe("/", &[("Host", "a"), ("HOST", "b")]).is_err());
        assert!(probe("/", &[("X-A", "a"), ("x-a", "b")]).is_ok());
    }

    #[test]
    fn headers_are_few_and_short() {
        let many = [("x-a", "b"); 17];
        assert!(probe("/", &many[..16]).is_ok());
        assert_eq!(probe("/", &many).unwrap_err().field, "headers");
        let (fits, long) = ("a".repeat(4093), "a".repeat(4094));
        assert!(probe("/", &[("x-a", &fits)]).is_ok());
        assert!(probe("/", &[("x-a", &long)]).is_err());
    }

    #[test]
    fn the_value_of_a_header_is_neither_printed_nor_repeated_by_an_error() {
        let good = probe("/", &[("Authorization", "hunter2")]).unwrap();
        assert!(format!("{good:?}").contains("authorization") && !format!("{good:?}").contains("hunter2"));
        let long = "hunter2".repeat(1_000);
        for value in ["hunter2\n", &long] {
            let error = probe("/", &[("Authorization", value)]).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn expected_status_is_a_list_of_codes_and_ranges() {
        for (text, shown) in [
            ("200", Some("200")),
            ("200-399", Some("200-399")),
            (" 200 , 301 - 302 ", Some("200,301-302")),
            ("", None),
            ("200,", None),
            ("300-200", None),
            ("99", None),
            ("1000", None),
            ("+20", None),
            ("2xx", None),
            ("200-300-400", None),
        ] {
            let parsed = text.parse::<ExpectedStatus>();
            assert_eq!(parsed.ok().map(|ok| ok.to_string()).as_deref(), shown, "{text}");
        }
        assert!(vec!["200"; 16].join(",").parse::<ExpectedStatus>().is_ok());
        assert!(vec!["200"; 17].join(",").parse::<ExpectedStatus>().is_err());
        let expected: ExpectedStatus = "200-299,404".parse().unwrap();
        assert!([200, 299, 404].iter().all(|status| expected.contains(*status)));
        assert!([199, 300, 403].iter().all(|status| !expected.contains(*status)));
        assert_eq!(ExpectedStatus::default().to_string(), "200-399");
    }

    #[test]
    fn a_method_is_one_that_asks() {
        assert_eq!("get".parse(), Ok(HttpMethod::Get));
        assert_eq!("POST".parse(), Ok(HttpMethod::Post));
        assert!("DELETE".parse::<HttpMethod>().is_err());
    }
}
