//! The switches as `GET …/operator/switches` shows them.

use std::collections::BTreeMap;

use beatrix_core::model::Timings;
use serde::Serialize;

use super::{HealthParams, Switches};

/// The whole of a Nacos `SwitchDomain`. Nacos 2.x: `push…Version`; the 3.x snapshot: `pushVersionOf…`. Both are shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SwitchesJson<'a> {
    name: &'static str,
    masters: Option<&'a [String]>,
    ad_weight_map: Empty,
    default_push_cache_millis: u64,
    client_beat_interval: u128,
    default_cache_millis: u64,
    distro_threshold: f64,
    health_check_enabled: bool,
    auto_change_health_check_enabled: bool,
    distro_enabled: bool,
    enable_standalone: bool,
    push_enabled: bool,
    check_times: i32,
    http_health_params: HealthParams,
    tcp_health_params: HealthParams,
    mysql_health_params: HealthParams,
    incremental_list: [(); 0],
    server_status_synchronization_period_millis: u64,
    service_status_synchronization_period_millis: u64,
    #[serde(rename = "disableAddIP")]
    disable_add_ip: bool,
    send_beat_only: bool,
    light_beat_enabled: bool,
    limited_url_map: BTreeMap<&'a str, u16>,
    distro_server_expired_millis: i64,
    push_go_version: &'a str,
    push_java_version: &'a str,
    push_python_version: &'a str,
    #[serde(rename = "pushCVersion")]
    push_c_version: &'a str,
    #[serde(rename = "pushCSharpVersion")]
    push_csharp_version: &'a str,
    push_version_of_go: &'a str,
    push_version_of_java: &'a str,
    push_version_of_python: &'a str,
    push_version_of_c: &'a str,
    push_version_of_csharp: &'a str,
    enable_authentication: bool,
    overridden_server_status: Option<&'static str>,
    default_instance_ephemeral: bool,
    health_check_white_list: [(); 0],
    checksum: Option<()>,
}

/// An empty JSON object.
#[derive(Debug, Serialize)]
struct Empty {}

impl<'a> SwitchesJson<'a> {
    /// All of `switches`; `defaults` are the times of the registry.
    pub(crate) fn new(switches: &'a Switches, defaults: Timings) -> Self {
        let (shown, versions) = (&switches.shown, &switches.push_versions);
        let limited = &switches.limited_urls;
        Self {
            name: "00-00---000-NACOS_SWITCH_DOMAIN-000---00-00",
            masters: shown.masters.as_deref(),
            ad_weight_map: Empty {},
            default_push_cache_millis: switches.push_cache_millis,
            client_beat_interval: switches.beat_interval(defaults).as_millis(),
            default_cache_millis: shown.default_cache_millis,
            distro_threshold: shown.distro_threshold,
            health_check_enabled: switches.check,
            auto_change_health_check_enabled: shown.auto_change_health_check_enabled,
            distro_enabled: shown.distro_enabled,
            enable_standalone: shown.enable_standalone,
            push_enabled: switches.push_enabled,
            check_times: shown.check_times,
            http_health_params: shown.http_health_params,
            tcp_health_params: shown.tcp_health_params,
            mysql_health_params: shown.mysql_health_params,
            incremental_list: [],
            server_status_synchronization_period_millis: shown.server_status_period,
            service_status_synchronization_period_millis: shown.service_status_period,
            disable_add_ip: shown.disable_add_ip,
            send_beat_only: shown.send_beat_only,
            light_beat_enabled: switches.light_beat_enabled,
            limited_url_map: limited.iter().map(|url| (&*url.start, url.status)).collect(),
            distro_server_expired_millis: shown.distro_server_expired_millis,
            push_go_version: &versions.go,
            push_java_version: &versions.java,
            push_python_version: &versions.python,
            push_c_version: &versions.c,
            push_csharp_version: &versions.csharp,
            push_version_of_go: &versions.go,
            push_version_of_java: &versions.java,
            push_version_of_python: &versions.python,
            push_version_of_c: &versions.c,
            push_version_of_csharp: &versions.csharp,
            enable_authentication: false,
            overridden_server_status: switches.server_status.map(super::ServerStatus::as_str),
            default_instance_ephemeral: switches.default_instance_ephemeral,
            health_check_white_list: [],
            checksum: None,
        }
    }
}
