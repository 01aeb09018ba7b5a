//! The entries of the switches: what may be set, and to what.

use beatrix_core::catalog::EXPIRY;
use beatrix_core::model::Invalid;

use crate::params::{Param, is_yes};

use super::{HealthParams, LimitedUrl, ServerStatus, Switches};

/// What the registry's own setting behind the switch `check` is while silence changes nothing.
const EXPIRY_OFF: &str = "off";

/// Before the entry in the name of a setting.
const PREFIX: &str = "nacos.switch.";

/// A setting that is to be changed. `value` is `None` where the switch goes back to its default.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) setting: String,
    pub(crate) value: Option<String>,
}

/// The entries that are kept under their own name.
const ENTRIES: &[&str] = &[
    "distroThreshold",
    "clientBeatInterval",
    "pushCacheMillis",
    "defaultCacheMillis",
    "masters",
    "distro",
    "pushEnabled",
    "serviceStatusSynchronizationPeriodMillis",
    "serverStatusSynchronizationPeriodMillis",
    "healthCheckTimes",
    "disableAddIP",
    "sendBeatOnly",
    "limitedUrlMap",
    "enableStandalone",
    "overriddenServerStatus",
    "defaultInstanceEphemeral",
    "distroServerExpiredMillis",
    "lightBeatEnabled",
    "autoChangeHealthCheckEnabled",
    "httpHealthParams",
    "tcpHealthParams",
    "mysqlHealthParams",
];

/// The clients that `pushVersion` names; each is a setting of its own.
const CLIENTS: [&str; 5] = ["java", "python", "c", "go", "csharp"];

/// What setting an entry comes to. `None` if Nacos has no such entry, which is not a mistake.
///
/// # Errors
/// If the value is none for this entry.
pub(crate) fn change(entry: &str, value: &str) -> Result<Option<Change>, Invalid> {
    let mut checked = Switches::default();
    let change = |setting: String, value: Option<&str>| {
        Some(Change {
            setting,
            value: value.map(str::to_owned),
        })
    };
    Ok(match entry {
        // Nacos 2.x: two names for one.
        "check" | "healthCheckEnabled" => change(EXPIRY.to_owned(), (!is_true(value)).then_some(EXPIRY_OFF)),
        "pushVersion" => {
            checked.set(entry, value)?;
            let client = value.split(':').next().unwrap_or_default();
            change(format!("{PREFIX}{entry}.{client}"), Some(value))
        }
        _ if ENTRIES.contains(&entry) => {
            checked.set(entry, value)?;
            let cleared = value == NULL && matches!(entry, "overriddenServerStatus" | "limitedUrlMap");
            change(format!("{PREFIX}{entry}"), (!cleared).then_some(value))
        }
        _ => None,
    })
}

/// Clears what can be without a value. Nacos has no way to clear `limitedUrlMap`; here it is the same word.
const NULL: &str = "null";

impl Switches {
    /// The switches, read from settings. A value that is none, which only another version of this door can have set,
    /// leaves the default.
    pub(super) fn read<T: AsRef<str>>(setting: impl Fn(&str) -> Option<T>) -> Self {
        let mut switches = Self::default();
        let mut read = |name: &str, entry: &str| {
            if let Some(value) = setting(name) {
                let _default_if_unreadable = switches.set(entry, value.as_ref());
            }
        };
        for entry in ENTRIES {
            read(&format!("{PREFIX}{entry}"), entry);
        }
        for client in CLIENTS {
            read(&format!("{PREFIX}pushVersion.{client}"), "pushVersion");
        }
        switches.check = setting(EXPIRY).is_none_or(|value| value.as_ref() != EXPIRY_OFF);
        switches
    }

    /// Sets one entry. The rules are those of Nacos 2.x (`SwitchManager`); where it lets pass what would break the
    /// answers, such as a negative interval, it is refused here.
    fn set(&mut self, entry: &str, value: &str) -> Result<(), Invalid> {
        let shown = &mut self.shown;
        match entry {
            "clientBeatInterval" => self.client_beat_interval = Some(millis(value, 1)?),
            "pushCacheMillis" => self.push_cache_millis = millis(value, 10_000)?,
            "defaultCacheMillis" => shown.default_cache_millis = millis(value, 1_000)?,
            "serviceStatusSynchronizationPeriodMillis" => shown.service_status_period = millis(value, 5_000)?,
            "serverStatusSynchronizationPeriodMillis" => shown.server_status_period = millis(value, 1_000)?,
            "distroServerExpiredMillis" => shown.distro_server_expired_millis = number(value)?,
            "healthCheckTimes" => shown.check_times = number(value)?,
            "distroThreshold" => shown.distro_threshold = positive(value)?,
            "masters" => shown.masters = Some(value.split(',').map(str::to_owned).collect()),
            "pushVersion" => self.set_push_version(value)?,
            "pushEnabled" => self.push_enabled = is_true(value),
            "distro" => shown.distro_enabled = is_true(value),
            "disableAddIP" => shown.disable_add_ip = is_true(value),
            "sendBeatOnly" => shown.send_beat_only = is_true(value),
            "enableStandalone" => shown.enable_standalone = is_true(value),
            "defaultInstanceEphemeral" => self.default_instance_ephemeral = is_true(value),
            // Nacos 2.x: these two are read more liberally than all others.
            "lightBeatEnabled" => self.light_beat_enabled = is_yes(value),
            "autoChangeHealthCheckEnabled" => shown.auto_change_health_check_enabled = is_yes(value),
            "limitedUrlMap" if value == NULL => self.limited_urls = Vec::new(),
            "limitedUrlMap" => self.limited_urls = limited_urls(value)?,
            "overriddenServerStatus" if value == NULL => self.server_status = None,
            "overriddenServerStatus" => {
                let rule = "must be UP, DOWN, STARTING, PAUSED, WRITE_ONLY, READ_ONLY or null";
                self.server_status = Some(ServerStatus::find(value).ok_or_else(|| invalid(rule, value))?);
            }
            "httpHealthParams" => shown.http_health_params = checked_params(value)?,
            "tcpHealthParams" => shown.tcp_health_params = checked_params(value)?,
            "mysqlHealthParams" => shown.mysql_health_params = params(value)?,
            _ => {}
        }
        Ok(())
    }

    fn set_push_version(&mut self, value: &str) -> Result<(), Invalid> {
        let rule = "must be java, python, c, go or csharp, a colon and a version x.y.z";
        let parts = value.split_once(':').filter(|(_, version)| is_version(version));
        let (client, version) = parts.ok_or_else(|| invalid(rule, value))?;
        let versions = &mut self.push_versions;
        let kept = match client {
            "java" => &mut versions.java,
            "python" => &mut versions.python,
            "c" => &mut versions.c,
            "go" => &mut versions.go,
            "csharp" => &mut versions.csharp,
            _ => return Err(invalid(rule, value)),
        };
        version.clone_into(kept);
        Ok(())
    }
}

fn invalid(rule: &'static str, value: &str) -> Invalid {
    Invalid::new(Param::Value.as_str(), rule, value)
}

fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

/// Three numbers with points between them; each may have as many digits as a version of any client has.
fn is_version(text: &str) -> bool {
    let number = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split('.').count() == 3 && text.split('.').all(number)
}

/// The longest time that may be set: a day, as for the times of instances.
const MILLIS_MAX: u64 = 24 * 60 * 60 * 1_000;

fn millis(value: &str, min: u64) -> Result<u64, Invalid> {
    let found = value.parse().ok();
    found
        .filter(|millis| (min..=MILLIS_MAX).contains(millis))
        .ok_or_else(|| {
            let rule = format!("must be a number of milliseconds from {min} to {MILLIS_MAX}");
            Invalid::new(Param::Value.as_str(), rule, value)
        })
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, Invalid> {
    value
        .parse()
        .map_err(|_| invalid("must be a whole number", value))
}

fn positive(value: &str) -> Result<f64, Invalid> {
    let found = value.parse().ok();
    found
        .filter(|number: &f64| number.is_finite() && *number > 0.0)
        .ok_or_else(|| invalid("must be a number above 0", value))
}

/// `url:status,url:status`. Nacos takes any positive number for a status; here it must be one that ends a request.
fn limited_urls(value: &str) -> Result<Vec<LimitedUrl>, Invalid> {
    let rule = "must be a list of url:status, with statuses from 200 to 599 and not 304";
    let urls = value.split(',').map(|part| {
        let (start, status) = part.split_once(':')?;
        let status = status.parse().ok()?;
        // Clients of Nacos take 304 for a success without content.
        let ends = (200..600).contains(&status) && status != 304;
        (!start.is_empty() && ends).then(|| LimitedUrl {
            start: start.to_owned(),
            status,
        })
    });
    urls.collect::<Option<_>>().ok_or_else(|| invalid(rule, value))
}

fn params(value: &str) -> Result<HealthParams, Invalid> {
    // An array would be taken for a list of members, in their order.
    let json = value.trim_start().starts_with('{');
    let found = json.then(|| serde_json::from_str(value).ok()).flatten();
    found.ok_or_else(|| invalid("must be a JSON object of max, min and factor", value))
}

fn checked_params(value: &str) -> Result<HealthParams, Invalid> {
    let rule = "must have a min of at least 500, a max of at least 3000 and a factor from 0 to 1";
    let params = params(value)?;
    let obeys = params.min >= 500 && params.max >= 3_000 && (0.0..=1.0).contains(&params.factor);
    if obeys {
        Ok(params)
    } else {
        Err(invalid(rule, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_set_is_read_again_and_what_is_none_is_refused() {
        let mut settings = BTreeMap::new();
        for (entry, value) in [
            ("clientBeatInterval", "7000"),
            ("pushCacheMillis", "10000"),
            ("pushVersion", "java:1.2.3"),
            ("pushVersion", "go:0.0.9"),
            ("check", "false"),
            ("limitedUrlMap", "/nacos/v1/ns/instance:429,/x:500"),
            ("overriddenServerStatus", "READ_ONLY"),
            ("lightBeatEnabled", "no"),
            ("httpHealthParams", r#"{"max":3000,"min":500,"factor":1}"#),
            ("mysqlHealthParams", "{}"),
            ("healthCheckTimes", "5"),
            ("masters", "a,b"),
        ] {
            let change = change(entry, value).unwrap().unwrap();
            settings.insert(change.setting, change.value.unwrap());
        }
        let switches = Switches::read(|name| settings.get(name));
        assert_eq!(switches.client_beat_interval, Some(7_000));
        assert_eq!(
            (&*switches.push_versions.java, &*switches.push_versions.go),
            ("1.2.3", "0.0.9")
        );
        assert_eq!(&*switches.push_versions.python, "0.4.3");
        assert!(!switches.check && !switches.light_beat_enabled);
        assert_eq!(switches.limited_urls.len(), 2);
        assert_eq!(switches.server_status, Some(ServerStatus::ReadOnly));
        assert_eq!(switches.shown.check_times, 5);
        assert!(switches.unusual() && !Switches::default().unusual());

        for (entry, value) in [
            ("clientBeatInterval", "0"),
            ("clientBeatInterval", "-1"),
            ("pushCacheMillis", "9999"),
            ("pushCacheMillis", "18446744073709551616"),
            ("defaultCacheMillis", "999"),
            ("distroThreshold", "0"),
            ("distroThreshold", "NaN"),
            ("distroThreshold", "inf"),
            ("pushVersion", "java"),
            ("pushVersion", "java:1"),
            ("pushVersion", "ruby:1.0.0"),
            ("limitedUrlMap", "x"),
            ("limitedUrlMap", ":200"),
            ("limitedUrlMap", "/x:304"),
            ("limitedUrlMap", "/x:99"),
            ("overriddenServerStatus", "up"),
            ("httpHealthParams", r#"{"min":1}"#),
            ("tcpHealthParams", r#"{"factor":2}"#),
            ("mysqlHealthParams", "[1,2,3]"),
            ("healthCheckTimes", "many"),
        ] {
            assert!(change(entry, value).is_err(), "{entry}={value}");
        }
        assert_eq!(change("nosuch", "x").unwrap(), None);
    }

    #[test]
    fn what_goes_back_to_its_default_is_no_setting_anymore() {
        for (entry, value) in [
            ("overriddenServerStatus", "null"),
            ("limitedUrlMap", "null"),
            ("check", "true"),
            ("healthCheckEnabled", "TRUE"),
        ] {
            assert_eq!(change(entry, value).unwrap().unwrap().value, None, "{entry}");
        }
    }
}
