//! Parameters of a request, from its query and its form body alike.
//!
//! One pass finds the parameters that this door knows and remembers where they stand; what is asked for is decoded
//! then. So a beat neither builds a map nor decodes what it does not need, and parameters that nobody knows cannot
//! break anything (Nacos clients send many: `env`, `encoding`, `ak`, `tid`…).

use std::borrow::Cow;

use axum::body::{Bytes, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri, header};

use crate::error::Error;
use crate::limits::BODY_BYTES_MAX;
use crate::percent;

macro_rules! names {
    ($($name:ident = $text:literal,)*) => {
        /// The name of a parameter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Param {
            $(#[doc = concat!("`", $text, "`")] $name,)*
        }

        const COUNT: usize = [$(Param::$name),*].len();

        impl Param {
            /// The name as the protocol spells it.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            fn find(text: &[u8]) -> Option<Self> {
                match text {
                    $(text if text == $text.as_bytes() => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

names! {
    Service = "serviceName",
    Group = "groupName",
    Namespace = "namespaceId",
    Ip = "ip",
    Port = "port",
    ClusterName = "clusterName",
    Cluster = "cluster",
    Clusters = "clusters",
    UdpPort = "udpPort",
    ClientIp = "clientIP",
    App = "app",
    Beat = "beat",
    Weight = "weight",
    Healthy = "healthy",
    Enabled = "enabled",
    Enable = "enable",
    Ephemeral = "ephemeral",
    Metadata = "metadata",
    HealthyOnly = "healthyOnly",
    PageNo = "pageNo",
    PageSize = "pageSize",
    OnlyStatus = "onlyStatus",
}

/// What of a request holds parameters.
#[derive(Debug)]
pub(crate) struct Incoming {
    uri: Uri,
    body: Bytes,
}

/// Where the parameters of a request stand, not yet decoded.
#[derive(Debug)]
pub(crate) struct Params<'a> {
    raw: [Option<&'a [u8]>; COUNT],
}

impl Incoming {
    /// Reads the body, if it is a form. Nacos: no body at all may come without a content type (Python, Node).
    ///
    /// # Errors
    /// If the body is too long, or breaks off.
    pub(crate) async fn read(request: Request) -> Result<Self, Error> {
        let (uri, form) = {
            let (parts, body) = request.into_parts();
            let none = body.is_end_stream() || parts.method == Method::GET || !is_form(&parts.headers);
            (parts.uri, (!none).then_some(body))
        };
        let body = match form {
            // Boxed, so that the future of a request without a body stays small: so are most beats.
            Some(form) => Box::pin(to_bytes(form, BODY_BYTES_MAX)).await?,
            None => Bytes::new(),
        };
        Ok(Self { uri, body })
    }

    /// The parameters.
    pub(crate) fn params(&self) -> Params<'_> {
        Params::find(self.uri.query(), &self.body)
    }
}

/// A body of no declared type is taken for a form; one of another type holds no parameters.
fn is_form(headers: &HeaderMap) -> bool {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    headers.get(header::CONTENT_TYPE).is_none_or(|value| {
        value
            .as_bytes()
            .get(..FORM.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(FORM))
    })
}

impl<'a> Params<'a> {
    /// Finds the parameters. Nacos: of several values of one name the first counts, and the query comes first (the
    /// Java 1.1 client sends the same in both).
    pub(crate) fn find(query: Option<&'a str>, body: &'a [u8]) -> Self {
        let mut params = Self { raw: [None; COUNT] };
        params.scan(query.unwrap_or_default().as_bytes());
        params.scan(body);
        params
    }

    fn scan(&mut self, source: &'a [u8]) {
        let mut rest = source;
        while !rest.is_empty() {
            let (name, end) = until(&mut rest, |byte| matches!(byte, b'=' | b'&'));
            let value = if end == Some(b'=') {
                until(&mut rest, |byte| byte == b'&').0
            } else {
                &[]
            };
            self.note(name, value);
        }
    }

    fn note(&mut self, name: &'a [u8], value: &'a [u8]) {
        // No client encodes names, but it is allowed.
        let name = Param::find(name).or_else(|| match percent::decode(name)? {
            Cow::Borrowed(_) => None,
            Cow::Owned(name) => Param::find(name.as_bytes()),
        });
        if let Some(name) = name {
            self.raw[name as usize].get_or_insert(value);
        }
    }

    /// The value, decoded and trimmed. Nacos v1: an empty one counts as absent.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub(crate) fn get(&self, name: Param) -> Result<Option<Cow<'a, str>>, Error> {
        let Some(raw) = self.raw[name as usize] else {
            return Ok(None);
        };
        let text = percent::decode(raw).ok_or(Error::NotUtf8(name))?;
        Ok(Some(trim(text)).filter(|text| !text.is_empty()))
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// If it is not there, or not UTF-8.
    pub(crate) fn require(&self, name: Param) -> Result<Cow<'a, str>, Error> {
        self.get(name)?.ok_or(Error::Missing(name))
    }

    /// A yes or no. Nacos v1 takes `y`, `yes`, `on`, `true`, `t` in any case for yes and all else, also `1`, for no.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub(crate) fn flag(&self, name: Param) -> Result<Option<bool>, Error> {
        Ok(self.get(name)?.map(|text| is_yes(&text)))
    }

    /// A yes or no where Nacos v1 takes nothing but `true`, in any case, for yes.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub(crate) fn is_true(&self, name: Param, default: bool) -> Result<bool, Error> {
        Ok(self
            .get(name)?
            .map_or(default, |text| text.eq_ignore_ascii_case("true")))
    }
}

/// Takes what stands before the first byte that is an `end`, and that byte.
fn until<'a>(rest: &mut &'a [u8], end: impl Fn(u8) -> bool) -> (&'a [u8], Option<u8>) {
    let at = rest.iter().position(|byte| end(*byte)).unwrap_or(rest.len());
    let (taken, after) = rest.split_at(at);
    *rest = after.get(1..).unwrap_or_default();
    (taken, after.first().copied())
}

/// Nacos v1: see [`Params::flag`].
pub(crate) fn is_yes(text: &str) -> bool {
    ["y", "yes", "on", "true", "t"]
        .iter()
        .any(|yes| text.eq_ignore_ascii_case(yes))
}

/// Takes off what Java's `trim` does: all up to the space, control characters included.
fn trim(text: Cow<'_, str>) -> Cow<'_, str> {
    let white = |c: char| c <= ' ';
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(white)),
        Cow::Owned(text) => match text.trim_matches(white) {
            trimmed if trimmed.len() == text.len() => Cow::Owned(text),
            trimmed => Cow::Owned(trimmed.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(query: &str, body: &[u8], name: Param) -> Option<String> {
        Params::find(Some(query), body)
            .get(name)
            .unwrap()
            .map(Cow::into_owned)
    }

    #[test]
    fn the_first_value_counts_and_the_query_comes_first() {
        for (query, body, ip) in [
            ("ip=1", "ip=2", Some("1")),
            ("ip=1&ip=2", "", Some("1")),
            ("a=b", "ip=2", Some("2")),
            ("ip=&ip=2", "ip=3", None),
            ("ip", "", None),
            ("&&=x&ip=+%201%09&", "", Some("1")),
            ("%69p=1", "", Some("1")),
            ("ip=a=b", "", Some("a=b")),
            ("IP=1", "", None),
            ("unknown=%FF&ip=1", "", Some("1")),
        ] {
            assert_eq!(
                get(query, body.as_bytes(), Param::Ip).as_deref(),
                ip,
                "{query} {body}"
            );
        }
    }

    #[test]
    fn what_is_not_utf_8_is_refused_by_name() {
        let error = Params::find(None, b"ip=\xFF").get(Param::Ip).unwrap_err();
        assert!(error.to_string().contains("ip"), "{error}");
    }

    #[test]
    fn yes_is_said_in_five_ways() {
        for (text, yes) in [
            ("true", true),
            ("True", true),
            ("Y", true),
            ("on", true),
            ("1", false),
            ("no", false),
            ("x", false),
        ] {
            assert_eq!(is_yes(text), yes, "{text}");
        }
    }

    #[test]
    fn every_name_finds_itself() {
        for name in [Param::Service, Param::Clusters, Param::OnlyStatus] {
            assert_eq!(Param::find(name.as_str().as_bytes()), Some(name));
        }
    }
}
