//! Every key: its name, its default, what it does, and how its value is read.

use std::str::FromStr;
use std::time::Duration;

use beatrix_core::model::Timings;
use beatrix_probes::Network;

use super::{Config, GrpcAddr, JournalKind, LogFormat};

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// Its default, as it would be written.
    pub default: &'static str,
    /// What it does, in which unit, and what turning it costs.
    pub help: &'static str,
    /// Reads a value; the error reads on after the key.
    pub set: fn(&mut Config, &str) -> Result<(), String>,
}

/// All keys.
pub const KEYS: &[Key] = &[
    Key {
        name: "http_addr",
        default: "127.0.0.1:8848",
        help: "Address and port of HTTP: native API, Nacos HTTP, probes. Port 0 takes a free one",
        set: |config, text| put(&mut config.http_addr, text, "must be an address and a port"),
    },
    Key {
        name: "nacos_grpc_addr",
        default: "auto",
        help: "Address and port of Nacos over gRPC. auto: that of http_addr, port + 1000, which clients reckon by \
               themselves (where http_addr takes a free port, a free one); off: nowhere",
        set: |config, text| {
            config.nacos_grpc_addr = match text {
                "auto" => GrpcAddr::Auto,
                "off" => GrpcAddr::Off,
                _ => GrpcAddr::At(
                    text.parse()
                        .map_err(|_| "must be an address and a port, auto, or off".to_owned())?,
                ),
            };
            Ok(())
        },
    },
    Key {
        name: "nacos_grpc_connections_max",
        default: "100000",
        help: "How many connections over gRPC there may be at once. More are closed",
        set: |config, text| {
            within(
                &mut config.nacos_grpc_connections_max,
                text,
                1..=10_000_000,
                COUNT,
            )
        },
    },
    Key {
        name: "nacos_grpc_requests_in_flight_max",
        default: "256",
        help: "How many requests of one connection over gRPC may be under way. More wait in the client",
        set: |config, text| {
            let rule = "must be a whole number from 2 to 100000, since the stream is one of them";
            within(
                &mut config.nacos_grpc.requests_in_flight_max,
                text,
                2..=100_000,
                rule,
            )
        },
    },
    Key {
        name: "nacos_grpc_message_bytes_max",
        default: "10485760",
        help: "How long a message over gRPC may be, in bytes",
        set: |config, text| {
            let rule = "must be a number of bytes from 4096 to 1073741824";
            within(
                &mut config.nacos_grpc.message_bytes_max,
                text,
                4_096..=1 << 30,
                rule,
            )
        },
    },
    Key {
        name: "nacos_grpc_reconnect_grace_ms",
        default: "0",
        help: "How long the instances of a connection over gRPC stay when it has ended, in ms: a client that reconnects \
               and registers again in that time is not missed by anybody. One that died is missed as much later. 0: they \
               go at once, as in Nacos",
        set: |config, text| milliseconds(&mut config.nacos_grpc.reconnect_grace, text, 0),
    },
    Key {
        name: "cluster_id",
        default: "beatrix",
        help: "Names the cluster. A native beat for another one is refused, so that nobody beats against the wrong \
               registry",
        set: |config, text| {
            if text.is_empty() || text.len() > 64 || !text.bytes().all(|b| b.is_ascii_graphic()) {
                return Err("must be 1 to 64 printable ASCII characters".into());
            }
            config.engine.cluster_id = text.into();
            Ok(())
        },
    },
    Key {
        name: "journal",
        default: "embedded",
        help: "Where changes are kept: embedded, in data_dir, so that a restart finds them; or memory, which keeps \
               nothing",
        set: |config, text| {
            config.journal = match text {
                "embedded" => JournalKind::Embedded,
                "memory" => JournalKind::Memory,
                _ => return Err("must be embedded or memory".into()),
            };
            Ok(())
        },
    },
    Key {
        name: "data_dir",
        default: "./data",
        help: "The folder of the embedded journal. One process at a time. It is made if it is not there",
        set: |config, text| {
            if text.is_empty() {
                return Err("must be a folder".into());
            }
            config.data_dir = text.into();
            Ok(())
        },
    },
    Key {
        name: "history_age_max_ms",
        default: "86400000",
        help: "For how long the journal keeps what happened, in ms: changes, and what services were. At most 90 days",
        set: |config, text| {
            let mut ms = 0;
            within(
                &mut ms,
                text,
                0..=90 * 86_400_000,
                "must be a number of ms from 0 to 7776000000",
            )?;
            config.history_age_max = Duration::from_millis(ms);
            Ok(())
        },
    },
    Key {
        name: "history_bytes_max",
        default: "268435456",
        help: "How many bytes of it the journal keeps at most. What a restart needs is kept in any case",
        set: |config, text| {
            let rule = "must be a number of bytes from 0 to 1099511627776";
            within(&mut config.history_bytes_max, text, 0..=1 << 40, rule)
        },
    },
    Key {
        name: "checkpoint_bytes",
        default: "67108864",
        help: "After so many bytes of log a checkpoint is made. Fewer make restarts shorter and write more. A large state \
               is written only after half of its own size, whatever this says",
        set: |config, text| {
            let rule = "must be a number of bytes from 65536 to 1099511627776";
            within(&mut config.checkpoint_bytes, text, 65_536..=1 << 40, rule)
        },
    },
    Key {
        name: "disk_reserve_bytes",
        default: "67108864",
        help: "With fewer free bytes than this on the disk of data_dir, writes that must be durable are refused",
        set: |config, text| {
            let rule = "must be a number of bytes from 0 to 1099511627776";
            within(&mut config.disk_reserve_bytes, text, 0..=1 << 40, rule)
        },
    },
    Key {
        name: "log",
        default: "info",
        help: "Which log lines are written: a level, or filters such as info,beatrix_engine=debug",
        set: |config, text| {
            tracing_subscriber::EnvFilter::try_new(text).map_err(|_| "must be a log filter".to_owned())?;
            config.log = text.into();
            Ok(())
        },
    },
    Key {
        name: "log_format",
        default: "text",
        help: "How log lines are written: text or json",
        set: |config, text| {
            config.log_format = match text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err("must be text or json".into()),
            };
            Ok(())
        },
    },
    Key {
        name: "beat_interval_ms",
        default: "5000",
        help: "How often an instance is to beat that names no times, in ms",
        set: |config, text| put(&mut config.timings_ms[0], text, NUMBER),
    },
    Key {
        name: "unhealthy_after_ms",
        default: "15000",
        help: "Silence after which such an instance is unhealthy, in ms. Shorter finds the dead sooner and takes a \
               slow network for death more often",
        set: |config, text| put(&mut config.timings_ms[1], text, NUMBER),
    },
    Key {
        name: "remove_after_ms",
        default: "30000",
        help: "Silence after which such an instance is removed, in ms",
        set: |config, text| put(&mut config.timings_ms[2], text, NUMBER),
    },
    Key {
        name: "session_return_ms",
        default: "60000",
        help: "After a restart, how long an instance that lived by a connection stays as it was until its client is back, \
               in ms. One that died with the registry is missed as much later",
        set: |config, text| {
            let mut time = Duration::ZERO;
            milliseconds(&mut time, text, 1_000)?;
            // One time for all: it goes without having been unhealthy.
            config.engine.catalog.returning =
                Timings::new(time, time, time).map_err(|invalid| invalid.to_string())?;
            Ok(())
        },
    },
    Key {
        name: "guard",
        default: "true",
        help: "Whether the mass-expiry guard acts: when far too many instances fall silent at once, they are \
               marked suspect and kept",
        set: |config, text| {
            put(
                &mut config.engine.catalog.guard.enabled,
                text,
                "must be true or false",
            )
        },
    },
    Key {
        name: "guard_threshold_percent",
        default: "30",
        help: "The guard holds when more than this share of a service, or of the registry, falls silent within \
               guard_window_ms",
        set: |config, text| {
            let threshold = &mut config.engine.catalog.guard.threshold_percent;
            within(threshold, text, 1..=100, "must be a number from 1 to 100")
        },
    },
    Key {
        name: "guard_population_min",
        default: "20",
        help: "Services, or registries, with fewer instances that beat are not guarded",
        set: |config, text| put(&mut config.engine.catalog.guard.population_min, text, NUMBER),
    },
    Key {
        name: "guard_window_ms",
        default: "15000",
        help: "How long a silence counts for the guard, in ms. One beat timeout",
        set: |config, text| milliseconds(&mut config.engine.catalog.guard.window, text, 100),
    },
    Key {
        name: "guard_hold_max_ms",
        default: "600000",
        help: "How long the guard holds at most, in ms. Then those who are still silent go",
        set: |config, text| milliseconds(&mut config.engine.catalog.guard.hold_max, text, 1_000),
    },
    Key {
        name: "flap",
        default: "true",
        help: "Whether health that flaps is damped: an instance that falls and rises over and over is called healthy \
               only after it has been well for a while",
        set: |config, text| {
            put(
                &mut config.engine.catalog.flap.enabled,
                text,
                "must be true or false",
            )
        },
    },
    Key {
        name: "flap_threshold",
        default: "3",
        help: "From how many flips on an instance flaps, each of which counts half after flap_half_life_ms. It no longer \
               does below the half of this",
        set: |config, text| {
            let mut threshold = 0_u32;
            within(&mut threshold, text, 2..=100, "must be a number from 2 to 100")?;
            let flap = &mut config.engine.catalog.flap;
            flap.threshold = f64::from(threshold);
            flap.steady_below = flap.threshold / 2.0;
            Ok(())
        },
    },
    Key {
        name: "flap_half_life_ms",
        default: "60000",
        help: "In which time a flip counts half, in ms",
        set: |config, text| milliseconds(&mut config.engine.catalog.flap.half_life, text, 100),
    },
    Key {
        name: "flap_hold_min_ms",
        default: "10000",
        help: "How long one that flaps has to be well at first before it is called healthy, in ms. Doubled with each \
               further flip",
        set: |config, text| milliseconds(&mut config.engine.catalog.flap.hold_min, text, 0),
    },
    Key {
        name: "flap_hold_max_ms",
        default: "300000",
        help: "How long at most, in ms",
        set: |config, text| milliseconds(&mut config.engine.catalog.flap.hold_max, text, 0),
    },
    Key {
        name: "flaps_tracked_max",
        default: "100000",
        help: "Of how many instances flips are counted at once. About 100 bytes each",
        set: |config, text| {
            within(
                &mut config.engine.catalog.flap.tracked_max,
                text,
                1..=INSTANCES_MAX,
                COUNT,
            )
        },
    },
    Key {
        name: "probes_enabled",
        default: "true",
        help: "Whether instances are probed that live by probes. Without, they stay as they are registered, and the \
               native API takes none",
        set: |config, text| {
            put(
                &mut config.engine.catalog.probes.enabled,
                text,
                "must be true or false",
            )
        },
    },
    Key {
        name: "probes_in_flight_max",
        default: "1024",
        help: "How many probes may be in flight at once, each with a socket. With more instances that hang than this \
               has room for, probes come late: /api/v1/status tells how late",
        set: |config, text| {
            within(
                &mut config.engine.catalog.probes.in_flight_max,
                text,
                1..=65_536,
                "must be a number from 1 to 65536",
            )
        },
    },
    Key {
        name: "probe_targets_allowed",
        default: "",
        help: "Addresses and networks that may be probed although they are refused otherwise (link-local, multicast, \
               metadata services of clouds), separated by commas. Whoever may register an instance can then have the \
               registry connect there",
        set: |config, text| {
            config.probe_targets_allowed = networks(text)?;
            Ok(())
        },
    },
    Key {
        name: "probe_targets_denied",
        default: "",
        help: "Addresses and networks that may not be probed, separated by commas; nothing lifts that. Without it \
               whoever may register an instance can have the registry connect to any address and port that it reaches, \
               but its own and those that are refused anyhow",
        set: |config, text| {
            config.probe_targets_denied = networks(text)?;
            Ok(())
        },
    },
    Key {
        name: "probe_methods_unsafe",
        default: "false",
        help: "Whether instances may ask for probes by POST. Whoever may register one can then change state at any \
               address that the registry reaches and that answers a POST without a body",
        set: |config, text| {
            put(
                &mut config.engine.probe_methods_unsafe,
                text,
                "must be true or false",
            )
        },
    },
    Key {
        name: "reports_min",
        default: "3",
        help: "How many different consumers must report that they cannot reach an instance before it is marked so. 0 \
               turns reports off",
        set: |config, text| {
            within(
                &mut config.engine.catalog.reports.reporters_min,
                text,
                0..=1_000,
                "must be a whole number from 0 to 1000",
            )
        },
    },
    Key {
        name: "reports_share_percent",
        default: "20",
        help: "And which share of those who are known to use its service, in percent",
        set: |config, text| {
            let share = &mut config.engine.catalog.reports.share_percent;
            within(share, text, 0..=100, "must be a number from 0 to 100")
        },
    },
    Key {
        name: "reports_window_ms",
        default: "30000",
        help: "How long a report counts, in ms",
        set: |config, text| milliseconds(&mut config.engine.catalog.reports.window, text, 1_000),
    },
    Key {
        name: "reported_instances_max",
        default: "10000",
        help: "Of how many instances reports are kept. Beyond it those of longest ago are forgotten",
        set: |config, text| {
            within(
                &mut config.engine.catalog.reports.instances_max,
                text,
                1..=INSTANCES_MAX,
                COUNT,
            )
        },
    },
    Key {
        name: "reporters_max",
        default: "100000",
        help: "How many reporters are kept, each once for each instance. About 100 bytes each",
        set: |config, text| {
            within(
                &mut config.engine.catalog.reports.reports_max,
                text,
                1..=INSTANCES_MAX,
                COUNT,
            )
        },
    },
    Key {
        name: "push_merge_max_ms",
        default: "50",
        help: "How long a burst of changes of a service is merged before it is pushed, in ms. The first change of a \
               quiet service is pushed at once",
        set: |config, text| milliseconds(&mut config.engine.push_merge_max, text, 0),
    },
    Key {
        name: "instances_max",
        default: "4000000",
        help: "How many instances there may be",
        set: |config, text| {
            within(
                &mut config.engine.catalog.instances_max,
                text,
                1..=INSTANCES_MAX,
                COUNT,
            )
        },
    },
    Key {
        name: "instances_per_service_max",
        default: "1000000",
        help: "How many instances a service may have",
        set: |config, text| {
            within(
                &mut config.engine.catalog.instances_per_service_max,
                text,
                1..=INSTANCES_MAX,
                COUNT,
            )
        },
    },
    Key {
        name: "services_max",
        default: "1000000",
        help: "How many services there may be",
        set: |config, text| {
            within(
                &mut config.engine.catalog.services_max,
                text,
                1..=INSTANCES_MAX,
                COUNT,
            )
        },
    },
    Key {
        name: "change_log_max",
        default: "65536",
        help: "How many changes are held for readers who come back. About 100 bytes each",
        set: |config, text| {
            within(
                &mut config.engine.catalog.change_log_max,
                text,
                1..=INSTANCES_MAX,
                COUNT,
            )
        },
    },
    Key {
        name: "subscribers_max",
        default: "1000000",
        help: "How many subscribers there may be. A connection of Nacos over gRPC counts once for each service",
        set: |config, text| within(&mut config.engine.subscribers_max, text, 1..=INSTANCES_MAX, COUNT),
    },
    Key {
        name: "services_per_subscriber_max",
        default: "1000",
        help: "How many services a subscriber may watch",
        set: |config, text| {
            within(
                &mut config.engine.services_per_subscriber_max,
                text,
                1..=1_000_000,
                COUNT,
            )
        },
    },
    Key {
        name: "connections_max",
        default: "200000",
        help: "How many connections there may be at once. More wait until one ends",
        set: |config, text| within(&mut config.connections_max, text, 1..=10_000_000, COUNT),
    },
    Key {
        name: "shutdown_grace_ms",
        default: "10000",
        help: "How long requests may go on after the registry was asked to stop, in ms",
        set: |config, text| milliseconds(&mut config.shutdown_grace, text, 0),
    },
];

/// What the table of beats has room for, less than 2^26.
const INSTANCES_MAX: usize = 67_000_000;

const NUMBER: &str = "must be a whole number";
const NETWORKS: &str = "must be addresses and networks such as 169.254.0.0/16, without bits beyond the prefix, separated by commas";
const COUNT: &str = "must be a whole number from 1 on, and not absurd";

fn networks(text: &str) -> Result<Vec<Network>, String> {
    let networks = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    networks
        .map(|text| text.parse().map_err(|_| NETWORKS.to_owned()))
        .collect()
}

fn put<T: FromStr>(into: &mut T, text: &str, rule: &str) -> Result<(), String> {
    *into = text.parse().map_err(|_| rule.to_owned())?;
    Ok(())
}

fn within<T: FromStr + PartialOrd>(
    into: &mut T,
    text: &str,
    range: std::ops::RangeInclusive<T>,
    rule: &str,
) -> Result<(), String> {
    let value = text.parse().ok().filter(|value| range.contains(value));
    *into = value.ok_or_else(|| rule.to_owned())?;
    Ok(())
}

fn milliseconds(into: &mut Duration, text: &str, min: u64) -> Result<(), String> {
    let mut ms = 0;
    within(
        &mut ms,
        text,
        min..=86_400_000,
        &format!("must be a number of ms from {min} to 86400000"),
    )?;
    *into = Duration::from_millis(ms);
    Ok(())
}
