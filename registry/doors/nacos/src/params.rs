//! Parameters of a request, from its query and its form body alike.
//!
//! One pass finds the parameters that this door knows and remembers where they stand; what is asked for is decoded
//! then. So a beat neither builds a map nor decodes what it does not need, and parameters that nobody knows cannot
//! break anything (Nacos clients send many: `env`, `encoding`, `ak`, `tid`…).

use std::borrow::Cow;

use axum::body::{Bytes, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri, header};
use beatrix_core::model::Invalid;

use crate::error::Error;
use crate::limits::BODY_BYTES_MAX;
use crate::percent;

macro_rules! names {
    (kept { $($kept:ident = $kept_text:literal,)* } sought { $($sought:ident = $sought_text:literal,)* }) => {
        /// The name of a parameter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Param {
            $(#[doc = concat!("`", $kept_text, "`")] $kept,)*
            $(#[doc = concat!("`", $sought_text, "`")] $sought,)*
        }

        /// How many names are kept; they come first.
        const KEPT: usize = [$(Param::$kept),*].len();

        impl Param {
            /// The name as the protocol spells it.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kept => $kept_text,)*
                    $(Self::$sought => $sought_text,)*
                }
            }

            /// The kept name of this text.
            fn find(text: &[u8]) -> Option<Self> {
                match text {
                    $(text if text == $kept_text.as_bytes() => Some(Self::$kept),)*
                    _ => None,
                }
            }
        }
    };
}

// Where a kept parameter stands is remembered by the one pass over the request. The others belong to requests that come
// seldom, and are sought when they are asked for: so they cost beats and lists nothing.
names! {
    kept {
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
    }
    sought {
        OnlyStatus = "onlyStatus",
        ConsistencyType = "consistencyType",
        Instances = "instances",
        Key = "key",
        HeartBeat = "heartBeat",
        EnabledOnly = "enabledOnly",
        ProtectThreshold = "protectThreshold",
        Selector = "selector",
        Expression = "expr",
        NamePart = "serviceNameParam",
        GroupPart = "groupNameParam",
        HasIpCount = "hasIpCount",
        IgnoreEmptyService = "ignoreEmptyService",
        WithInstances = "withInstances",
        Valid = "valid",
        CheckPort = "checkPort",
        UseInstancePort = "useInstancePort4Check",
        HealthChecker = "healthChecker",
        Entry = "entry",
        Value = "value",
        Debug = "debug",
        Reset = "reset",
        LogName = "logName",
        LogLevel = "logLevel",
        ClientId = "clientId",
        ConnectionId = "connectionId",
        Count = "count",
        RedirectAddress = "redirectAddress",
        Username = "username",
        Show = "show",
        CheckNamespaceIdExist = "checkNamespaceIdExist",
        CustomNamespaceId = "customNamespaceId",
        NamespaceName = "namespaceName",
        NamespaceShowName = "namespaceShowName",
        NamespaceDesc = "namespaceDesc",
        NamespaceV1 = "namespace",
    }
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
    raw: [Option<&'a [u8]>; KEPT],
    /// Query and body.
    sources: [&'a [u8]; 2],
    /// Whether yes and no are what Spring takes for them, as in v2 and v3.
    typed: bool,
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

    /// The parameters, read as v1 does.
    pub(crate) fn params(&self) -> Params<'_> {
        Params::find(self.uri.query(), &self.body)
    }

    /// The parameters, read as v2 and v3 do.
    pub(crate) fn typed(&self) -> Params<'_> {
        self.params().typed()
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
        let query = query.unwrap_or_default().as_bytes();
        let mut params = Self {
            raw: [None; KEPT],
            sources: [query, body],
            typed: false,
        };
        for mut rest in params.sources {
            while let Some((name, value)) = next(&mut rest) {
                params.note(name, value);
            }
        }
        params
    }

    /// The same parameters, read as v2 and v3 do.
    pub(crate) fn typed(self) -> Self {
        Self { typed: true, ..self }
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

    /// The value as it came.
    fn raw(&self, name: Param) -> Option<&'a [u8]> {
        match self.raw.get(name as usize) {
            Some(kept) => *kept,
            None => self.seek(name.as_str().as_bytes()),
        }
    }

    fn seek(&self, wanted: &[u8]) -> Option<&'a [u8]> {
        self.sources.into_iter().find_map(|mut rest| {
            std::iter::from_fn(|| next(&mut rest))
                .find(|(name, _)| percent::decode(name).is_some_and(|name| name.as_bytes() == wanted))
                .map(|(_, value)| value)
        })
    }

    /// The value, decoded and trimmed. Nacos v1: an empty one counts as absent.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub(crate) fn get(&self, name: Param) -> Result<Option<Cow<'a, str>>, Error> {
        let Some(raw) = self.raw(name) else {
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

    /// A yes or no. Nacos v1 takes `y`, `yes`, `on`, `true`, `t` in any case for yes and all else, also `1`, for no;
    /// v2 and v3 see [`typed_flag`].
    ///
    /// # Errors
    /// If it is not UTF-8, or in v2 and v3 neither yes nor no.
    pub(crate) fn flag(&self, name: Param) -> Result<Option<bool>, Error> {
        let Some(text) = self.get(name)? else {
            return Ok(None);
        };
        if self.typed {
            typed_flag(name, &text).map(Some)
        } else {
            Ok(Some(is_yes(&text)))
        }
    }

    /// A yes or no where Nacos v1 takes nothing but `true`, in any case, for yes.
    ///
    /// # Errors
    /// As [`Self::flag`].
    pub(crate) fn is_true(&self, name: Param, default: bool) -> Result<bool, Error> {
        match self.get(name)? {
            Some(text) if self.typed => typed_flag(name, &text),
            Some(text) => Ok(text.eq_ignore_ascii_case("true")),
            None => Ok(default),
        }
    }

    /// A number from 0 to 65535.
    ///
    /// # Errors
    /// If it is not UTF-8, or no such number.
    pub(crate) fn port(&self, name: Param) -> Result<Option<u16>, Error> {
        let Some(text) = self.get(name)? else {
            return Ok(None);
        };
        let port = text
            .parse()
            .map_err(|_| Invalid::new(name.as_str(), "must be a number from 0 to 65535", &text))?;
        Ok(Some(port))
    }
}

/// The parameter at the front, taken off.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    if rest.is_empty() {
        return None;
    }
    let (name, end) = until(rest, |byte| matches!(byte, b'=' | b'&'));
    let value = if end == Some(b'=') {
        until(rest, |byte| byte == b'&').0
    } else {
        &[]
    };
    Some((name, value))
}

/// Nacos v2 and v3 (Spring): `true`, `on`, `yes`, `1`, or `false`, `off`, `no`, `0`, in any case.
fn typed_flag(name: Param, text: &str) -> Result<bool, Error> {
    let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["true", "on", "yes", "1"]) {
        Ok(true)
    } else if is(["false", "off", "no", "0"]) {
        Ok(false)
    } else {
        Err(Invalid::new(name.as_str(), "must be true or false", text).into())
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
    fn in_v2_and_v3_yes_and_no_are_words_and_all_else_is_refused() {
        for (text, found) in [
            ("true", Some(true)),
            ("1", Some(true)),
            ("OFF", Some(false)),
            ("t", None),
            ("2", None),
        ] {
            let query = format!("healthy={text}&healthyOnly={text}");
            let params = Params::find(Some(&query), b"").typed();
            assert_eq!(params.flag(Param::Healthy).ok().flatten(), found, "{text}");
            assert_eq!(params.is_true(Param::HealthyOnly, true).ok(), found, "{text}");
        }
    }

    #[test]
    fn kept_names_find_themselves_and_the_others_are_sought() {
        for name in [Param::Service, Param::Clusters, Param::PageSize] {
            assert_eq!(Param::find(name.as_str().as_bytes()), Some(name));
        }
        for (query, body, key) in [
            ("key=1", "key=2", Some("1")),
            ("k=1&key=+2", "", Some("2")),
            ("", "%6Bey=3&key=4", Some("3")),
            ("keys=1", "", None),
            ("key=&key=1", "", None),
        ] {
            assert_eq!(
                get(query, body.as_bytes(), Param::Key).as_deref(),
                key,
                "{query} {body}"
            );
        }
    }
}
