//! What names a service, and what is said about it as a whole, to bytes and back.

use std::collections::BTreeMap;

use beatrix_core::model::{
    CLUSTERS_SET_MAX, Checker, ClusterSettings, Curve, Invalid, Lifetime, NamespaceInfo, Selector,
    ServiceKey, ServiceRef, ServiceSettings, SlowStart, Threshold,
};

use super::DecodeError;
use super::bytes::{Reader, put_bool, put_float, put_len, put_number, put_option, put_text, unknown};
use super::instance::{metadata, put_metadata};

/// Writes a service's name.
pub fn put_key(out: &mut Vec<u8>, key: &ServiceKey) {
    put_text(out, key.namespace.as_str());
    put_text(out, key.group.as_str());
    put_text(out, key.name.as_str());
}

/// The services of one stream of records. Changes come in runs of one service; those that follow each other share the
/// name.
#[derive(Debug, Default)]
pub struct Keys {
    last: Option<ServiceKey>,
}

impl Keys {
    /// Reads a service's name.
    ///
    /// # Errors
    /// If it is none.
    pub fn read(&mut self, from: &mut Reader<'_>) -> Result<ServiceKey, DecodeError> {
        let name = ServiceRef {
            namespace: from.text()?,
            group: from.text()?,
            name: from.text()?,
        };
        match &self.last {
            Some(last) if last.borrowed() == name => Ok(last.clone()),
            _ => {
                let key = name.to_key()?;
                self.last = Some(key.clone());
                Ok(key)
            }
        }
    }
}

/// Writes what is said about a service.
pub fn put_settings(out: &mut Vec<u8>, settings: &ServiceSettings) {
    let ServiceSettings {
        lifetime,
        protect_threshold,
        metadata,
        selector,
        clusters,
        expires,
        slow_start,
    } = settings;
    out.push(match lifetime {
        None => 0,
        Some(Lifetime::Ephemeral) => 1,
        Some(Lifetime::Persistent) => 2,
    });
    put_float(out, protect_threshold.get());
    put_metadata(out, metadata);
    match selector {
        Selector::None => out.push(0),
        Selector::Label { expression } => {
            out.push(1);
            put_text(out, expression);
        }
    }
    put_bool(out, *expires);
    put_len(out, clusters.len());
    for (cluster, settings) in clusters {
        put_text(out, cluster.as_str());
        put_cluster(out, settings);
    }
    put_option(out, slow_start.as_ref(), |out, ramp| {
        put_number(
            out,
            u64::try_from(ramp.duration().as_millis()).unwrap_or(u64::MAX),
        );
        out.push(match ramp.curve() {
            Curve::Linear => 0,
            Curve::Quadratic => 1,
        });
        out.push(ramp.min_percent());
    });
}

fn slow_start(from: &mut Reader<'_>) -> Result<SlowStart, DecodeError> {
    let duration_ms = from.number()?;
    let curve = match from.byte()? {
        0 => Curve::Linear,
        1 => Curve::Quadratic,
        other => return Err(unknown("the curve", other)),
    };
    Ok(SlowStart::new(duration_ms, curve, from.byte()?.into())?)
}

/// Reads what is said about a service.
///
/// # Errors
/// If it is nothing of the kind, or breaks a rule.
pub fn settings(from: &mut Reader<'_>) -> Result<ServiceSettings, DecodeError> {
    let lifetime = match from.byte()? {
        0 => None,
        1 => Some(Lifetime::Ephemeral),
        2 => Some(Lifetime::Persistent),
        other => return Err(unknown("the lifetime", other)),
    };
    let protect_threshold = Threshold::new(from.float()?)?;
    let metadata = metadata(from)?;
    let selector = match from.byte()? {
        0 => Selector::None,
        1 => Selector::Label {
            expression: from.text()?.to_owned(),
        },
        other => return Err(unknown("the selector", other)),
    };
    selector.check()?;
    let expires = from.bool()?;
    let count = from.count()?;
    if count > CLUSTERS_SET_MAX {
        return Err(Invalid::new("clusters", "must be at most 64 with settings", &count.to_string()).into());
    }
    let mut clusters = BTreeMap::new();
    for _ in 0..count {
        clusters.insert(from.parsed()?, cluster(from)?);
    }
    if clusters.len() != count {
        return Err(DecodeError::Malformed("the clusters"));
    }
    Ok(ServiceSettings {
        lifetime,
        protect_threshold,
        metadata,
        selector,
        clusters,
        expires,
        slow_start: from.option(slow_start)?,
    })
}

fn put_cluster(out: &mut Vec<u8>, settings: &ClusterSettings) {
    let ClusterSettings {
        checker,
        check_port,
        use_instance_port,
        metadata,
    } = settings;
    match checker {
        Checker::None => out.push(0),
        Checker::Tcp => out.push(1),
        Checker::Http {
            path,
            headers,
            expected_status,
        } => {
            out.push(2);
            put_text(out, path);
            put_text(out, headers);
            out.extend_from_slice(&expected_status.to_le_bytes());
        }
        Checker::Mysql {
            user,
            password,
            command,
        } => {
            out.push(3);
            put_text(out, user);
            put_text(out, password);
            put_text(out, command);
        }
    }
    out.extend_from_slice(&check_port.to_le_bytes());
    put_bool(out, *use_instance_port);
    put_metadata(out, metadata);
}

fn cluster(from: &mut Reader<'_>) -> Result<ClusterSettings, DecodeError> {
    let text = |from: &mut Reader<'_>| from.text().map(str::to_owned);
    let checker = match from.byte()? {
        0 => Checker::None,
        1 => Checker::Tcp,
        2 => Checker::Http {
            path: text(from)?,
            headers: text(from)?,
            expected_status: u16::from_le_bytes(from.array()?),
        },
        3 => Checker::Mysql {
            user: text(from)?,
            password: text(from)?,
            command: text(from)?,
        },
        other => return Err(unknown("the checker", other)),
    };
    checker.check()?;
    Ok(ClusterSettings {
        checker,
        check_port: u16::from_le_bytes(from.array()?),
        use_instance_port: from.bool()?,
        metadata: metadata(from)?,
    })
}

/// Writes what is said about a namespace.
pub fn put_namespace_info(out: &mut Vec<u8>, info: &NamespaceInfo) {
    put_text(out, &info.name);
    put_text(out, &info.description);
}

/// Reads what is said about a namespace.
///
/// # Errors
/// If it is nothing of the kind, or breaks a rule.
pub fn namespace_info(from: &mut Reader<'_>) -> Result<NamespaceInfo, DecodeError> {
    let info = NamespaceInfo {
        name: from.text()?.to_owned(),
        description: from.text()?.to_owned(),
    };
    info.check()?;
    Ok(info)
}

/// Reads the value of a setting of the whole registry.
///
/// # Errors
/// If it is none, or too long.
pub fn setting_value(from: &mut Reader<'_>) -> Result<std::sync::Arc<str>, DecodeError> {
    let value = from.text()?;
    if value.len() > beatrix_core::catalog::SETTING_BYTES_MAX {
        return Err(Invalid::new("value", "must not be as long", value).into());
    }
    Ok(value.into())
}

/// Writes an optional value of a setting.
pub fn put_setting_value(out: &mut Vec<u8>, value: Option<&str>) {
    put_option(out, value, put_text);
}
