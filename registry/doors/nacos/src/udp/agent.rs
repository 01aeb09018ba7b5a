//! Which clients are pushed to.

use axum::http::{HeaderMap, HeaderName, header};

/// How a client that is pushed to calls itself, and the least version that it must have. Nacos 2.x: `ClientInfo` and
/// the switches `pushJavaVersion` and so on. Node calls itself `Nacos-Java-Client`.
const PUSHED: [(&str, [u32; 3]); 6] = [
    ("Nacos-Java-Client", [0, 1, 0]),
    ("Nacos-DNS", [0, 4, 3]),
    ("Nacos-C-Client", [1, 0, 12]),
    ("vip-client4cpp", [1, 0, 12]),
    ("Nacos-Go-Client", [0, 1, 0]),
    ("Nacos-CSharp-Client", [0, 9, 0]),
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

/// Whether a client that calls itself so is pushed to.
pub(super) fn is_pushed(agent: &str) -> bool {
    PUSHED
        .iter()
        .find(|(name, _)| agent.starts_with(name))
        .is_some_and(|(_, least)| version(agent).is_some_and(|version| version >= *least))
}

/// The first three numbers of the version; those that are not there are 0.
fn version(agent: &str) -> Option<[u32; 3]> {
    let (_, text) = agent.split_once(VERSION)?;
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
            assert_eq!(is_pushed(agent), pushed, "{agent}");
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
