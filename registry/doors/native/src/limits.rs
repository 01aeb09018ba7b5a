//! Every limit of the native API and the registry behind it, in one table.
//!
//! | name | limit | what happens beyond it |
//! | --- | --- | --- |
//! | `body_bytes_max` | 1 MiB | 413 `limit-exceeded` |
//! | `leases_per_request_max` | 50,000 | 400 `limit-exceeded` |
//! | `statuses_per_request_max` | 1,000 | 400 `limit-exceeded` |
//! | `in_flight_per_request_max` | 1,000 | 400 `limit-exceeded` |
//! | `slow_start.duration_ms` | 3,600,000 ms | 400 `invalid-value` |
//! | `namespace`, `group`, `service`, `cluster` | 64, 128, 512, 64 characters | 400 `invalid-value` |
//! | `address` | 128 characters | 400 `invalid-value` |
//! | `metadata_entries_max` | 128 | 400 `invalid-value` |
//! | `metadata_bytes_max` | 16 KiB of keys and values | 400 `invalid-value` |
//! | `instances_max` | 4,000,000 (configurable) | 429 `limit-exceeded` |
//! | `instances_per_service_max` | 1,000,000 (configurable) | 429 `limit-exceeded` |
//! | `services_max` | 1,000,000 (configurable) | 429 `limit-exceeded` |
//! | `probes_in_flight_max` | 1,024 (configurable) | probes come late; `/api/v1/status` tells how late |
//! | probes at one address | 32 at once | those beyond wait for each other |
//! | interval, timeout of a probe | 0.5 s to 1 h, 50 ms to 10 s and no longer than the interval | 400 `invalid-value` |
//! | rise, fall of a probe | 1 to 10 | 400 `invalid-value` |
//! | path of a probe, with its query | 1,024 bytes | 400 `invalid-value` |
//! | headers of a probe | 16, 4 KiB | 400 `invalid-value` |
//! | ranges of an expected status | 16 | 400 `invalid-value` |
//! | service of a gRPC probe | 256 bytes | 400 `invalid-value` |
//! | user, password, command of a probe | 1,024 bytes each | 400 `invalid-value` |
//! | texts of a cluster's checker | 1,024 bytes each | 400 `invalid-value` |
//! | answer to a probe | 64 KiB; the head of one by HTTP some 400 KiB | the probe fails |
//! | lookups of names for probes | 32 at once, 4 of them under one domain | those beyond wait; who waits in vain was not asked |
//! | addresses of a name that are tried | 8 | the others are checked, and not tried |
//! | probe out of turn, of one instance | once in 5 s; of 4,096 instances in that time | answered `ordered: false`, with a reason |
//! | looks at what consumers report | 16 at once, 1,024 wait; each instance once in 5 s, of which 4,096 are known | there is no look; the mark stands without it |
//! | `drains_waiting_max` | 1,024 | 429 `limit-exceeded`; nothing is marked |
//! | time to come back during a drain, after a stream broke | 10 s | the subscriber is taken to be gone, and named |
//! | `subscribers_max` | 1,000,000 (configurable) | 429 `limit-exceeded` |
//! | `services_per_subscriber_max` | 1,000 (configurable) | 429 `limit-exceeded` |
//! | `change_log_max` | 65,536 changes (configurable) | older ones are dropped; who missed them gets a snapshot |
//! | `page_size_max` | 1,000 | 400 `invalid-value` |
//! | `events_limit_max` | 1,000 | 400 `invalid-value` |
//! | `exports_max` | 2 at once | 429 `limit-exceeded` |
//! | `imports_max` | 1 request at once | 429 `limit-exceeded` |
//! | `import_bytes_max` | 8 MiB | 413 `limit-exceeded` |
//! | `history_reads_max` | 4 at once | 503 `limit-exceeded` |
//! | `wait_ms_max` | 60,000 ms | 400 `invalid-value` |
//! | `drain_deadline_ms_max` | 300,000 ms | 400 `invalid-value` |
//! | `guard_force_ms_max` | 86,400,000 ms | 400 `invalid-value` |
//! | `guard_events_max` | 1,024 turns of guards | older ones are no longer in the history |
//! | `flaps_tracked_max` | 100,000 instances (configurable) | those that flipped longest ago are forgotten; beyond that, flips are not counted |
//! | `operator_layers_per_service_max` | 10,000 | 429 `limit-exceeded` |
//! | `reports_per_request_max` | 100 | 400 `limit-exceeded` |
//! | `reports_per_second_of_consumer_max` | 1, and 5 at once | 429 `limit-exceeded` with `Retry-After` |
//! | `reports_per_second_of_address_max` | 50, and 200 at once | 429 `limit-exceeded` with `Retry-After` |
//! | `report_paces_max` | 100,000 consumers, as many addresses | who reported least may begin anew |
//! | `reported_instances_max` | 10,000 (configurable) | what was said longest ago is forgotten, of those without a mark first |
//! | `reporters_max` | 100,000 (configurable), once for each instance | what was said longest ago is forgotten |
//! | instances that one address reports | 1,000 at a time | further ones are not kept |
//! | `reporters_per_instance_max` | 1,024 | further ones are not kept; so many are always enough |
//! | error of a report, id of a consumer | 256, 128 bytes | 400 `invalid-value` |
//! | name of a subscriber | 128 bytes | 400 `invalid-value` |
//! | reason of a status | 256 bytes | 400 `invalid-value` |
//! | `connections_max` | 200,000 (configurable) | new connections wait until one ends |
//! | head of a request | 64 KiB | 431 without a body |
//! | time to receive a request | 15 to 30 s | the connection is closed |
//!
//! `GET /api/v1/status` tells those whose name is set in code, with their use; `connections_max` belongs to the
//! process and is not among them.

use std::collections::BTreeMap;

use beatrix_core::catalog::LAYERS_PER_SERVICE_MAX;
use beatrix_core::liveness::{FORCE_MAX, REPORTERS_PER_INSTANCE_MAX};
use beatrix_core::model::{METADATA_BYTES_MAX, METADATA_ENTRIES_MAX};
use beatrix_engine::EngineConfig;
use beatrix_engine::registry::{
    DRAINS_WAITING_MAX, EXPORTS_MAX, GUARD_EVENTS_MAX, HISTORY_READS_MAX, IMPORTS_MAX, PACED_MAX, Status,
};
use beatrix_wire::LimitUse;

use crate::backup::IMPORT_BYTES_MAX;

/// How many bytes a request body may have.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How many leases one batch of beats may carry.
pub const LEASES_PER_REQUEST_MAX: usize = 50_000;
/// How many statuses one batch of beats may carry; each is a write.
pub const STATUSES_PER_REQUEST_MAX: usize = 1_000;
/// Of how many instances one batch of beats may say how many requests they have in flight.
pub const IN_FLIGHT_PER_REQUEST_MAX: usize = 1_000;
/// How many reports one request may carry.
pub const REPORTS_PER_REQUEST_MAX: usize = 100;
/// How long the error of a report may be, in bytes.
pub const REPORT_ERROR_BYTES_MAX: usize = 256;
/// How far back a report may reach, in milliseconds.
pub const REPORT_WINDOW_MS_MAX: u64 = 60_000;
/// How many services a page may hold.
pub const PAGE_SIZE_MAX: usize = 1_000;
/// How many changes a page may hold.
pub const EVENTS_LIMIT_MAX: usize = 1_000;
/// How long a long-poll may wait, in milliseconds.
pub const WAIT_MS_MAX: u64 = 60_000;
/// How long a drain may wait, in milliseconds.
pub const DRAIN_DEADLINE_MS_MAX: u64 = 300_000;
/// How long the mass-expiry guard may be forced to hold, in milliseconds.
pub const GUARD_FORCE_MS_MAX: u64 = FORCE_MAX.as_secs() * 1_000;

/// All limits by name, with the use of those that are a stock.
#[must_use]
pub fn in_use(config: &EngineConfig, status: &Status) -> BTreeMap<String, LimitUse> {
    let number = |number: usize| number as u64;
    [
        ("body_bytes_max", number(BODY_BYTES_MAX), None),
        ("leases_per_request_max", number(LEASES_PER_REQUEST_MAX), None),
        ("statuses_per_request_max", number(STATUSES_PER_REQUEST_MAX), None),
        (
            "in_flight_per_request_max",
            number(IN_FLIGHT_PER_REQUEST_MAX),
            None,
        ),
        ("metadata_entries_max", number(METADATA_ENTRIES_MAX), None),
        ("metadata_bytes_max", number(METADATA_BYTES_MAX), None),
        (
            "instances_max",
            number(config.catalog.instances_max),
            Some(status.instances),
        ),
        (
            "instances_per_service_max",
            number(config.catalog.instances_per_service_max),
            None,
        ),
        (
            "services_max",
            number(config.catalog.services_max),
            Some(status.services),
        ),
        (
            "probes_in_flight_max",
            number(config.catalog.probes.in_flight_max),
            Some(status.probes_in_flight),
        ),
        (
            "subscribers_max",
            number(config.subscribers_max),
            Some(status.subscribers),
        ),
        (
            "services_per_subscriber_max",
            number(config.services_per_subscriber_max),
            None,
        ),
        (
            "change_log_max",
            number(config.catalog.change_log_max),
            Some(status.changes_held),
        ),
        (
            "operator_layers_per_service_max",
            number(LAYERS_PER_SERVICE_MAX),
            None,
        ),
        ("reports_per_request_max", number(REPORTS_PER_REQUEST_MAX), None),
        (
            "reports_per_second_of_consumer_max",
            config.report_pace.per_consumer.into(),
            None,
        ),
        (
            "reports_per_second_of_address_max",
            config.report_pace.per_address.into(),
            None,
        ),
        (
            "report_paces_max",
            PACED_MAX,
            Some(usize::try_from(status.reports.paced).unwrap_or(usize::MAX)),
        ),
        (
            "reported_instances_max",
            number(config.catalog.reports.instances_max),
            Some(status.reports.instances),
        ),
        (
            "reporters_max",
            number(config.catalog.reports.reports_max),
            Some(status.reports.reports),
        ),
        (
            "reporters_per_instance_max",
            number(REPORTERS_PER_INSTANCE_MAX),
            None,
        ),
        ("page_size_max", number(PAGE_SIZE_MAX), None),
        ("events_limit_max", number(EVENTS_LIMIT_MAX), None),
        ("history_reads_max", number(HISTORY_READS_MAX), None),
        ("exports_max", number(EXPORTS_MAX), None),
        ("imports_max", number(IMPORTS_MAX), None),
        ("import_bytes_max", number(IMPORT_BYTES_MAX), None),
        ("wait_ms_max", WAIT_MS_MAX, None),
        ("drain_deadline_ms_max", DRAIN_DEADLINE_MS_MAX, None),
        (
            "drains_waiting_max",
            number(DRAINS_WAITING_MAX),
            Some(status.drains_waiting),
        ),
        ("guard_force_ms_max", GUARD_FORCE_MS_MAX, None),
        (
            "guard_events_max",
            number(GUARD_EVENTS_MAX),
            Some(status.guard.events_held),
        ),
        (
            "flaps_tracked_max",
            number(config.catalog.flap.tracked_max),
            Some(status.flaps_tracked),
        ),
    ]
    .into_iter()
    .map(|(name, limit, used)| {
        (
            name.to_owned(),
            LimitUse {
                limit,
                used: used.map(number),
            },
        )
    })
    .collect()
}
