//! How an instance is asked that is probed, to bytes and back. What is read goes through the model's own checks.

use std::sync::Arc;
use std::time::Duration;

use beatrix_core::model::{
    ExpectedStatus, GrpcProbe, HttpMethod, HttpProbe, MysqlProbe, Probe, ProbeKind, ProbePlan, ProbeSpec,
    RedisProbe, Tls,
};

use super::DecodeError;
use super::bytes::{Reader, put_len, put_number, put_option, put_text, unknown};

/// Writes how an instance is asked.
pub fn put_probe(out: &mut Vec<u8>, probe: &Probe) {
    match probe {
        Probe::OfCluster => out.push(0),
        Probe::Own(spec) => {
            out.push(1);
            put_spec(out, spec);
        }
    }
}

/// Reads how an instance is asked.
///
/// # Errors
/// If it is none, or breaks a rule.
pub fn probe(from: &mut Reader<'_>) -> Result<Probe, DecodeError> {
    match from.byte()? {
        0 => Ok(Probe::OfCluster),
        1 => Ok(Probe::Own(Arc::new(spec(from)?))),
        other => Err(unknown("the probe", other)),
    }
}

fn put_spec(out: &mut Vec<u8>, spec: &ProbeSpec) {
    put_option(out, spec.port(), |out, port| {
        out.extend_from_slice(&port.to_le_bytes());
    });
    for time in [spec.interval(), spec.timeout()] {
        // A time is an hour at most.
        put_number(out, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }
    out.extend_from_slice(&[spec.rise(), spec.fall()]);
    match spec.kind() {
        ProbeKind::Tcp => out.push(0),
        ProbeKind::Http(http) => {
            out.push(1);
            out.push(match http.method() {
                HttpMethod::Get => 0,
                HttpMethod::Head => 1,
                HttpMethod::Options => 2,
                HttpMethod::Post => 3,
            });
            put_text(out, http.path());
            put_len(out, http.headers().count());
            for (name, value) in http.headers() {
                put_text(out, name);
                put_text(out, value.reveal());
            }
            put_text(out, &http.expected().to_string());
            put_tls(out, http.tls());
        }
        ProbeKind::Grpc(grpc) => {
            out.push(2);
            put_text(out, grpc.service());
            put_tls(out, grpc.tls());
        }
        ProbeKind::Mysql(mysql) => {
            out.push(3);
            put_text(out, mysql.user());
            put_text(out, mysql.password().reveal());
            put_text(out, mysql.command());
        }
        ProbeKind::Redis(redis) => {
            out.push(4);
            put_option(out, redis.login(), |out, (user, password)| {
                put_option(out, user, put_text);
                put_text(out, password.reveal());
            });
        }
    }
}

fn spec(from: &mut Reader<'_>) -> Result<ProbeSpec, DecodeError> {
    let plan = ProbePlan {
        port: from.option(|from| Ok(u16::from_le_bytes(from.array()?)))?,
        interval: Some(Duration::from_millis(from.number()?)),
        timeout: Some(Duration::from_millis(from.number()?)),
        rise: Some(from.byte()?),
        fall: Some(from.byte()?),
    };
    let kind = match from.byte()? {
        0 => ProbeKind::Tcp,
        1 => ProbeKind::Http(http(from)?),
        2 => {
            let service = from.text()?;
            ProbeKind::Grpc(GrpcProbe::new(service, tls(from)?)?)
        }
        3 => ProbeKind::Mysql(MysqlProbe::new(from.text()?, from.text()?, from.text()?)?),
        4 => ProbeKind::Redis(redis(from)?),
        other => return Err(unknown("the kind of probe", other)),
    };
    Ok(ProbeSpec::new(kind, plan)?)
}

fn http(from: &mut Reader<'_>) -> Result<HttpProbe, DecodeError> {
    let method = match from.byte()? {
        0 => HttpMethod::Get,
        1 => HttpMethod::Head,
        2 => HttpMethod::Options,
        3 => HttpMethod::Post,
        other => return Err(unknown("the method", other)),
    };
    let path = from.text()?;
    let mut headers = Vec::new();
    for _ in 0..from.count()? {
        headers.push((from.text()?, from.text()?));
    }
    let expected: ExpectedStatus = from.parsed()?;
    Ok(HttpProbe::new(method, path, headers, expected, tls(from)?)?)
}

fn redis(from: &mut Reader<'_>) -> Result<RedisProbe, DecodeError> {
    let login = from.option(|from| Ok((from.option(Reader::text)?, from.text()?)))?;
    let (user, password) = login.map_or((None, None), |(user, password)| (user, Some(password)));
    Ok(RedisProbe::new(user, password)?)
}

fn put_tls(out: &mut Vec<u8>, tls: &Tls) {
    match tls {
        Tls::None => out.push(0),
        Tls::Unverified => out.push(1),
        Tls::Verified { server_name } => {
            out.push(2);
            put_text(out, server_name);
        }
    }
}

fn tls(from: &mut Reader<'_>) -> Result<Tls, DecodeError> {
    match from.byte()? {
        0 => Ok(Tls::None),
        1 => Ok(Tls::Unverified),
        2 => Ok(Tls::verified(from.text()?)?),
        other => Err(unknown("the way of TLS", other)),
    }
}
