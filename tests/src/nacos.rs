//! The Nacos v1 API as short calls, with nothing but what its clients know.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::ensure;
use serde::Deserialize;

use crate::http1::{self, Request, Response};

/// A service as `GET /nacos/v1/ns/instance/list` shows it, as far as tests look at it.
#[derive(Debug, Clone, Deserialize)]
pub struct ServiceInfo {
    /// The service with its group.
    pub name: String,
    /// The instances.
    pub hosts: Vec<Host>,
}

/// An instance in a [`ServiceInfo`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Host {
    /// Its address.
    pub ip: String,
    /// Its port.
    pub port: u16,
    /// Its health as Nacos shows it.
    pub healthy: bool,
    /// The share of traffic to give it.
    #[serde(default)]
    pub weight: f64,
    /// Its metadata.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// The answer to a beat.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beat {
    /// How often to beat, in milliseconds.
    pub client_beat_interval: u64,
    /// 10200, or 20404 when a light beat named an unknown instance.
    pub code: u32,
    /// Whether the full beat may be left out.
    pub light_beat_enabled: bool,
}

/// Registers an instance.
///
/// # Errors
///
/// When the answer is anything but `ok`.
pub async fn register(addr: SocketAddr, service: &str, ip: &str, port: u16) -> anyhow::Result<()> {
    register_with(addr, service, ip, port, "").await
}

/// Registers an instance with more parameters, given as a form.
///
/// # Errors
///
/// As [`register`].
pub async fn register_with(
    addr: SocketAddr,
    service: &str,
    ip: &str,
    port: u16,
    more: &str,
) -> anyhow::Result<()> {
    let form = format!("serviceName={service}&ip={ip}&port={port}&{more}");
    let answer = http1::send(addr, Request::new("POST", "/nacos/v1/ns/instance").form(form)).await?;
    ensure!(is_ok(&answer), "refused: {} {}", answer.status(), answer.text());
    Ok(())
}

/// Deregisters an instance.
///
/// # Errors
///
/// As [`register`].
pub async fn deregister(addr: SocketAddr, service: &str, ip: &str, port: u16) -> anyhow::Result<()> {
    let target = format!("/nacos/v1/ns/instance?serviceName={service}&ip={ip}&port={port}");
    let answer = http1::send(addr, Request::new("DELETE", target)).await?;
    ensure!(is_ok(&answer), "refused: {} {}", answer.status(), answer.text());
    Ok(())
}

/// Sends a light beat.
///
/// # Errors
///
/// When the answer is not that to a beat.
pub async fn light_beat(addr: SocketAddr, service: &str, ip: &str, port: u16) -> anyhow::Result<Beat> {
    let target = format!("/nacos/v1/ns/instance/beat?serviceName={service}&ip={ip}&port={port}");
    http1::send(addr, Request::new("PUT", target)).await?.json()
}

/// Lists the instances of a service.
///
/// # Errors
///
/// When the answer is not a list.
pub async fn list(addr: SocketAddr, service: &str) -> anyhow::Result<ServiceInfo> {
    http1::get(addr, &format!("/nacos/v1/ns/instance/list?serviceName={service}"))
        .await?
        .json()
}

fn is_ok(answer: &Response) -> bool {
    answer.status() == 200 && &answer.body[..] == b"ok"
}
