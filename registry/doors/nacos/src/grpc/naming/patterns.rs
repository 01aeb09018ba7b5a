//! Fuzzy watch: a client watches which services there are whose names match a pattern.

use std::collections::BTreeSet;

use crate::grpc::answer::{Failure, Nothing, codes, success};
use crate::grpc::connection::Connection;
use crate::grpc::fuzzy::{Granted, Pattern, Wish, service_of};
use crate::grpc::kind::Kind;
use crate::grpc::message::Outgoing;
use crate::grpc::wire::{FuzzyWatchRequest, text};
use crate::limits::{
    GRPC_FUZZY_PATTERN_BYTES_MAX, GRPC_FUZZY_PATTERNS_MAX, GRPC_FUZZY_SERVICES_PER_PATTERN_MAX,
};

/// Begins to watch, or ends it. Nacos 3.x: a pattern that too many services match is watched, and the answer is one of
/// failure all the same, so that the client can tell its user.
pub(in crate::grpc) async fn watch(
    connection: &Connection,
    request: FuzzyWatchRequest<'_>,
) -> Result<Outgoing, Failure> {
    let pattern = text(request.group_key_pattern);
    let short = Some(&*pattern).filter(|pattern| pattern.len() <= GRPC_FUZZY_PATTERN_BYTES_MAX);
    let pattern = short.and_then(Pattern::of).ok_or_else(|| {
        let shown: String = pattern.chars().take(64).collect();
        let message = format!("groupKeyPattern must be namespace>>group>>service, but is {shown:?}");
        Failure::new(codes::INVALID, message)
    })?;
    let wish = match &*text(request.watch_type) {
        "WATCH" => {
            let known = request.received_group_keys.unwrap_or_default();
            let known = known.iter().filter_map(|key| service_of(&key.0));
            let known: BTreeSet<_> = known.filter(|service| pattern.matches(service)).collect();
            // Nobody was told of more.
            let known = known
                .into_iter()
                .take(GRPC_FUZZY_SERVICES_PER_PATTERN_MAX)
                .collect();
            Wish::Watch {
                pattern,
                begins: request.initializing.unwrap_or(false),
                known,
            }
        }
        "CANCEL_WATCH" => Wish::Cancel { pattern },
        other => {
            let shown: String = other.chars().take(64).collect();
            return Err(Failure::new(
                codes::INVALID,
                format!("Unsupported watch type {shown}"),
            ));
        }
    };
    match connection.fuzzy(wish).await {
        Some(Granted::Yes) => Ok(success(Kind::FuzzyWatch, Nothing {})),
        Some(Granted::No) => Err(Failure::new(
            codes::TOO_MANY_PATTERNS,
            format!("limit grpc_fuzzy_patterns_max of {GRPC_FUZZY_PATTERNS_MAX} is reached"),
        )),
        Some(Granted::Partly) => Err(Failure::new(
            codes::TOO_MANY_MATCHES,
            format!(
                "limit grpc_fuzzy_services_per_pattern_max of {GRPC_FUZZY_SERVICES_PER_PATTERN_MAX} is reached: \
                 further services are not told of"
            ),
        )),
        None => Err(Failure::disconnected()),
    }
}
