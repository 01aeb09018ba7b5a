//! The configuration. One key has one name everywhere: `http_addr` in the file, `BEATRIX_HTTP_ADDR` in the
//! environment, `--http-addr` as a flag. Flags beat the environment, which beats the file, which beats the default.
//!
//! All keys stand in one table ([`KEYS`]); from it come the flags, their help, the parsing, and the refusal of what is
//! unknown, with the nearest known key. All errors are told at once, and before any port is bound.

mod keys;
mod layers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use beatrix_engine::EngineConfig;
use beatrix_probes::Network;

use layers::Asked;

use crate::backup::Job;

pub use keys::{KEYS, Key};

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where changes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalKind {
    /// In a folder of this machine.
    Embedded,
    /// Nowhere: a restart knows nothing.
    Memory,
}

/// Where Nacos over gRPC is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrpcAddr {
    /// Beside HTTP: the same address, and its port + 1000, which clients reckon by themselves. Where HTTP takes a free
    /// port, any free one.
    Auto,
    /// Here.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

/// What clients of Nacos 2.x add to the port of HTTP.
const GRPC_PORT_OFFSET: u16 = 1_000;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where HTTP is served: the native API, Nacos HTTP, probes.
    pub http_addr: SocketAddr,
    /// Where Nacos over gRPC is served.
    pub nacos_grpc_addr: GrpcAddr,
    /// How many connections over gRPC there may be at once; more are closed.
    pub nacos_grpc_connections_max: usize,
    /// The settings of Nacos over gRPC.
    pub nacos_grpc: beatrix_nacos::grpc::Settings,
    /// Where changes are kept.
    pub journal: JournalKind,
    /// The folder of the embedded journal.
    pub data_dir: PathBuf,
    /// For how long it keeps what happened.
    pub history_age_max: Duration,
    /// How many bytes of that at most.
    pub history_bytes_max: u64,
    /// After so many bytes of log it makes a checkpoint.
    pub checkpoint_bytes: u64,
    /// With fewer free bytes than this it refuses writes that must be durable.
    pub disk_reserve_bytes: u64,
    /// Which log lines are written, as `tracing` filters.
    pub log: String,
    /// How they are written.
    pub log_format: LogFormat,
    /// How many connections there may be at once; more wait.
    pub connections_max: usize,
    /// How long connections may go on after the registry was asked to stop.
    pub shutdown_grace: Duration,
    /// Networks that may be probed although they are refused otherwise.
    pub probe_targets_allowed: Vec<Network>,
    /// Networks that may not be probed, whatever else is said.
    pub probe_targets_denied: Vec<Network>,
    /// The engine's settings.
    pub engine: EngineConfig,
    /// The times of instances that name none, in milliseconds: interval, unhealthy after, remove after. They become
    /// `engine.timings` once all are known.
    timings_ms: [u64; 3],
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http_addr: SocketAddr::from(([127, 0, 0, 1], 8848)),
            nacos_grpc_addr: GrpcAddr::Auto,
            nacos_grpc_connections_max: 100_000,
            nacos_grpc: beatrix_nacos::grpc::Settings::default(),
            journal: JournalKind::Embedded,
            data_dir: "./data".into(),
            history_age_max: Duration::from_secs(24 * 60 * 60),
            history_bytes_max: 256 * 1024 * 1024,
            checkpoint_bytes: 64 * 1024 * 1024,
            disk_reserve_bytes: 64 * 1024 * 1024,
            log: "info".into(),
            log_format: LogFormat::Text,
            connections_max: 200_000,
            shutdown_grace: Duration::from_secs(10),
            probe_targets_allowed: Vec::new(),
            probe_targets_denied: Vec::new(),
            engine: EngineConfig::default(),
            timings_ms: [5_000, 15_000, 30_000],
        }
    }
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Outcome {
    /// To run the registry.
    Serve(Box<Config>),
    /// To write or read a backup.
    Backup(Job),
    /// To print this and end: help, or the version.
    Print(String),
}

/// What is wrong with the configuration, all of it.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// Reads the process's flags, environment and file.
///
/// # Errors
/// Everything that is wrong, a line each.
pub fn from_process() -> Result<Outcome, ConfigError> {
    from(std::env::args_os(), std::env::vars_os())
}

/// Reads flags, environment, and the file that they name.
///
/// # Errors
/// Everything that is wrong, a line each.
pub fn from(
    args: impl IntoIterator<Item = std::ffi::OsString>,
    env: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
) -> Result<Outcome, ConfigError> {
    let mut errors = Vec::new();
    let (file_flag, flags) = match layers::flags(args) {
        Ok(Asked::Serve(file, flags)) => (file, flags),
        Ok(Asked::Backup(job)) => return Ok(Outcome::Backup(job)),
        Err(error) if error.use_stderr() => return Err(ConfigError(vec![error.to_string()])),
        Err(help) => return Ok(Outcome::Print(help.to_string())),
    };
    let (file_env, env) = layers::environment(env, &mut errors);
    let mut values = BTreeMap::new();
    if let Some(path) = file_flag.or(file_env) {
        values.extend(layers::file(&path, &mut errors));
    }
    values.extend(env);
    values.extend(flags);

    let mut config = Config::default();
    for (name, value) in values {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            continue;
        };
        if let Err(rule) = (key.set)(&mut config, &value.text) {
            errors.push(format!(
                "{}: {} {rule}, but is {:?}",
                value.source, value.spelled, value.text
            ));
        }
    }
    config.finish(&mut errors);
    if errors.is_empty() {
        Ok(Outcome::Serve(Box::new(config)))
    } else {
        Err(ConfigError(errors))
    }
}

impl Config {
    /// Where Nacos over gRPC is served, when HTTP is bound to `http`. `None`: nowhere.
    pub(crate) fn nacos_grpc_addr(&self, http: SocketAddr) -> Option<SocketAddr> {
        match self.nacos_grpc_addr {
            GrpcAddr::Off => None,
            GrpcAddr::At(addr) => Some(addr),
            GrpcAddr::Auto if self.http_addr.port() == 0 => Some(SocketAddr::new(http.ip(), 0)),
            GrpcAddr::Auto => {
                let port = http.port().checked_add(GRPC_PORT_OFFSET)?;
                Some(SocketAddr::new(http.ip(), port))
            }
        }
    }

    /// What is right or wrong together: the default times, which stand in three keys, and the ports.
    fn finish(&mut self, errors: &mut Vec<String>) {
        let port = self.http_addr.port();
        if self.nacos_grpc_addr == GrpcAddr::Auto && port.checked_add(GRPC_PORT_OFFSET).is_none() {
            errors.push(format!(
                "nacos_grpc_addr must be set where http_addr has port {port}: port + {GRPC_PORT_OFFSET} is none"
            ));
        }
        let [interval, unhealthy, remove] = self.timings_ms.map(Duration::from_millis);
        match beatrix_core::model::Timings::new(interval, unhealthy, remove) {
            Ok(timings) => {
                self.engine.timings = timings;
                // After a restart all who beat have beaten by then.
                self.engine.catalog.beat_window = timings.unhealthy_after();
            }
            Err(invalid) => errors.push(format!("default times: {invalid}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str], env: &[(&str, &str)]) -> Result<Config, String> {
        let args = std::iter::once("beatrix")
            .chain(args.iter().copied())
            .map(Into::into);
        let env = env.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        match from(args, env) {
            Ok(Outcome::Serve(config)) => Ok(*config),
            Ok(Outcome::Print(text)) => Err(text),
            Ok(Outcome::Backup(job)) => Err(format!("{job:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    fn file(text: &str) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("beatrix.toml");
        std::fs::write(&path, text).unwrap();
        (dir, path.to_str().unwrap().to_owned())
    }

    #[test]
    fn nothing_needs_to_be_set() {
        let config = read(&[], &[]).unwrap();
        assert_eq!(config.http_addr.to_string(), "127.0.0.1:8848");
        assert_eq!(read(&["serve"], &[]).unwrap().http_addr, config.http_addr);
    }

    #[test]
    fn flags_beat_the_environment_which_beats_the_file() {
        let (_dir, path) = file("cluster_id = 'file'\nremove_after_ms = 60000\nunhealthy_after_ms = 20000");
        let env = [
            ("BEATRIX_CLUSTER_ID", "env"),
            ("BEATRIX_UNHEALTHY_AFTER_MS", "21000"),
        ];
        let config = read(&["serve", "--config", &path, "--cluster-id", "flag"], &env).unwrap();
        assert_eq!(config.engine.cluster_id, "flag");
        assert_eq!(config.engine.timings.unhealthy_after(), Duration::from_secs(21));
        assert_eq!(config.engine.timings.remove_after(), Duration::from_secs(60));
        assert_eq!(config.engine.catalog.beat_window, Duration::from_secs(21));
        let by_env = [("BEATRIX_CONFIG", path.as_str())];
        assert_eq!(read(&[], &by_env).unwrap().engine.cluster_id, "file");
    }

    #[test]
    fn who_lived_by_a_connection_has_a_time_to_come_back_and_then_goes_at_once() {
        let returning = |args: &[&str]| read(args, &[]).map(|config| config.engine.catalog.returning);
        let default = returning(&[]).unwrap();
        assert_eq!(default.unhealthy_after(), Duration::from_secs(60));
        assert_eq!(default.unhealthy_after(), default.remove_after());
        // Not the times of those who beat.
        let args = ["--remove-after-ms", "15000", "--session-return-ms", "1000"];
        assert_eq!(returning(&args).unwrap().remove_after(), Duration::from_secs(1));
        assert!(returning(&["--session-return-ms", "86400000"]).is_ok());
        for wrong in ["999", "86400001", "soon"] {
            let error = returning(&["--session-return-ms", wrong]).unwrap_err();
            assert!(error.contains("1000 to 86400000"), "{error}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known_one() {
        let (_dir, path) = file("http_adr = '127.0.0.1:1'\n[http]\naddr = 1");
        let error = read(&["--config", &path], &[("BEATRIX_CLUSTERID", "x")]).unwrap_err();
        assert!(
            error.contains("`http_adr`") && error.contains("`http_addr`"),
            "{error}"
        );
        assert!(
            error.contains("`BEATRIX_CLUSTERID`") && error.contains("`BEATRIX_CLUSTER_ID`"),
            "{error}"
        );
        assert!(error.contains("`http`"), "{error}");
        assert!(
            read(&["--http-adr", "x"], &[])
                .unwrap_err()
                .contains("--http-addr")
        );
    }

    #[test]
    fn what_kubernetes_puts_into_the_environment_is_no_key() {
        let env = [
            ("BEATRIX_SERVICE_HOST", "10.0.0.1"),
            ("BEATRIX_PORT_8848_TCP", "tcp://10.0.0.1:8848"),
        ];
        assert!(read(&[], &env).is_ok());
    }

    #[test]
    fn all_errors_are_told_at_once() {
        let args = [
            "--http-addr",
            "nowhere",
            "--guard",
            "maybe",
            "--beat-interval-ms",
            "60000",
        ];
        let error = read(&args, &[]).unwrap_err();
        for part in ["http-addr", "guard", "default times"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn grpc_is_beside_http_unless_it_is_told_otherwise() {
        let at = |args: &[&str], http: &str| {
            let config = read(args, &[]).unwrap();
            config
                .nacos_grpc_addr(http.parse().unwrap())
                .map(|addr| addr.to_string())
        };
        let some = |addr: &str| Some(addr.to_owned());
        assert_eq!(at(&[], "127.0.0.1:8848"), some("127.0.0.1:9848"));
        let http = ["--http-addr", "[::1]:80"];
        assert_eq!(at(&http, "[::1]:80"), some("[::1]:1080"));
        assert_eq!(
            at(&["--http-addr", "127.0.0.1:0"], "127.0.0.1:64999"),
            some("127.0.0.1:0")
        );
        assert_eq!(at(&["--nacos-grpc-addr", "off"], "127.0.0.1:1"), None);
        let elsewhere = ["--nacos-grpc-addr", "0.0.0.0:7"];
        assert_eq!(at(&elsewhere, "127.0.0.1:8848"), some("0.0.0.0:7"));
        let error = read(&["--http-addr", "127.0.0.1:65000"], &[]).unwrap_err();
        assert!(error.contains("nacos_grpc_addr"), "{error}");
    }

    #[test]
    fn every_key_takes_its_own_default_and_has_help() {
        let help = read(&["--help"], &[]).unwrap_err();
        for key in KEYS {
            assert!(
                help.contains(&format!("--{}", key.name.replace('_', "-"))),
                "{}",
                key.name
            );
            assert_eq!(
                (key.set)(&mut Config::default(), key.default),
                Ok(()),
                "{}",
                key.name
            );
        }
    }
}
