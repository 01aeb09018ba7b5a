//! Which clients are pushed to.

use axum::http::{HeaderMap, HeaderName, header};

use crate::switches::PushVersions;

/// Where the least version of a client stands.
type Least = fn(&PushVersions) -> &str;

/// How a client that is pushed to calls itself, and where the least version stands that it must have. Nacos 2.x:
/// `ClientInfo` and the switches `pushJavaVersion` and so on. Node calls itself `Nacos-Java-Client`.
const PUSHED: [(&str, Least); 6] = [
    ("Nacos-Java-Client", |least| &least.java),
    ("Nacos-DNS", |least| &least.python),
    ("Nacos-C-Client", |least| &least.c),
    ("vip-client4cpp", |least| &least.c),
    ("Nacos-Go-Client", |least| &least.go),
    ("Nacos-CSharp-Client", |least| &least.csharp),
];

/// What stands between a client's name and its version.
const VERSION: &str = ":v";

/// What the client calls itself. Nacos: `Client-Version` counts where `User-Agent` is empty.
pub(super) fn of(headers: &HeaderMap) -> Option<&str> {
    const CLIENT_VERSION: HeaderName = HeaderName::from_static("client-version");
    let text = |name| headers.get(name).filter(|value| !value.is_empty());
    text(header::USER_AGENT)
        .or_else(|| text(CLIENT_VERSION))?
        .to_str()
        .ok()
}

/// Whether a client that calls itself so is pushed to, if these are the least versions.
pub(super) fn is_pushed(agent: &str, least: &PushVersions) -> bool {
    let known = PUSHED.iter().find(|(name, _)| agent.starts_with(name));
    known.is_some_and(|(_, least_of)| {
        let of_agent = agent.split_once(VERSION).and_then(|(_, text)| version(text));
        of_agent.is_some_and(|of_agent| Some(of_agent) >= version(least_of(least)))
    })
}

/// The first three numbers of the version; those that are not there are 0.
fn version(text: &str) -> Option<[u32; 3]> {
    let mut version = [0; 3];
    for (place, part) in text.split('.').take(version.len()).enumerate() {
        let digits = part
            .bytes()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(part.len());
        if digits > 0 {
            version[place] = part[..digits].parse().ok()?;
        } else if place == 0 {
            return None;
        }
        // A suffix ends the numbers: `1.4-beta.2` is 1.4.0.
        if digits < part.len() {
            break;
        }
    }
    Some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_listen_are_pushed_to_from_their_version_on() {
        let least = crate::switches::Switches::default().push_versions;
        for (agent, pushed) in [
            ("Nacos-Java-Client:v1.4.7", true),
            ("Nacos-Java-Client:v1.0.0", true),
            ("Nacos-Java-Client:v0.1.0", true),
            ("Nacos-Java-Client:v0.0.9", false),
            ("Nacos-Java-Client:v1", true),
            ("Nacos-Java-Client:v1.4.7-SNAPSHOT", true),
            ("Nacos-Java-Client:v0.1-beta.9", true),
            ("Nacos-Java-Client:v", false),
            ("Nacos-Java-Client:vx.1.2", false),
            ("Nacos-Java-Client:v99999999999.1.2", false),
            ("Nacos-Java-Client", false),
            ("Nacos-Java-Client/1.4.7", false),
            ("nacos-java-client:v1.4.7", false),
            (" Nacos-Java-Client:v1.4.7", false),
            ("Nacos-DNS:v0.4.3", true),
            ("Nacos-DNS:v0.4.2", false),
            ("Nacos-C-Client:v1.0.21", true),
            ("Nacos-C-Client:v1.0.11", false),
            ("vip-client4cpp:v1.0.12", true),
            ("vip-client4cpp:v0.9.99", false),
            ("Nacos-Go-Client:v1.0.0", true),
            ("Nacos-CSharp-Client:v0.9.0", true),
            ("Nacos-CSharp-Client:v0.8.9", false),
            ("Nacos-Python-Client:v1.0.0", false),
            ("Nacos-Php-Client:v1.0.0", false),
            ("Nacos-SDK-Java:v1.0.0", false),
            ("unit-nginx:v1.0.0", false),
            ("curl/8", false),
            ("Mozilla/5.0 Nacos-Java-Client:v1.4.7", false),
            ("1.4.7", false),
            ("", false),
            ("Nacos-Java-Client:vé", false),
        ] {
            assert_eq!(is_pushed(agent, &least), pushed, "{agent}");
        }
    }

    #[test]
    fn the_client_version_counts_where_the_agent_is_empty() {
        for (agent, client, found) in [
            (Some("a"), Some("b"), Some("a")),
            (Some(""), Some("b"), Some("b")),
            (None, Some("b"), Some("b")),
            (Some(""), None, None),
            (None, None, None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(agent) = agent {
                headers.insert(header::USER_AGENT, agent.parse().unwrap());
            }
            if let Some(client) = client {
                headers.insert("Client-Version", client.parse().unwrap());
            }
            assert_eq!(of(&headers), found, "{agent:?} {client:?}");
        }
    }
}
