//! Metadata in one parameter, and the times that stand in it.

use std::collections::BTreeMap;
use std::time::Duration;

use beatrix_core::model::{Curve, Invalid, Metadata, SlowStart, Timings};
use serde_json::value::RawValue;

use crate::limits::METADATA_CHARS_MAX;
use crate::params::{Param, is_yes};

/// How often the client means to beat, in milliseconds.
pub(crate) const BEAT_INTERVAL: &str = "preserved.heart.beat.interval";
/// Silence after which the instance is unhealthy.
pub(crate) const BEAT_TIMEOUT: &str = "preserved.heart.beat.timeout";
/// Silence after which the instance is removed.
pub(crate) const DELETE_TIMEOUT: &str = "preserved.ip.delete.timeout";
/// How the instance id is made.
pub(crate) const ID_GENERATOR: &str = "preserved.instance.id.generator";

/// Turns the judging of beats off, for an instance or, in the metadata of a service, for all of it.
const CLIENT_BEAT: &str = "enableClientBeat";

/// Whether silence shall change nothing. Nacos 2.x: by this key, with any of its words for yes.
pub(crate) fn keeps_without_beats(metadata: &Metadata) -> bool {
    metadata.get(CLIENT_BEAT).is_some_and(is_yes)
}

/// How the instances of a service begin to serve, in its metadata. Nacos has no word for it; these are the registry's.
const SLOW_START_MS: &str = "beatrix.slow-start.duration-ms";
const SLOW_START_CURVE: &str = "beatrix.slow-start.curve";
const SLOW_START_PERCENT: &str = "beatrix.slow-start.min-percent";

/// The slow start that the metadata of a service says. `None` if it says nothing of it: then it stays as it is, since
/// consoles send all of what they know of a service, and know nothing of what the native API declared. A duration of 0
/// ends it.
///
/// # Errors
/// Names the key whose value breaks a rule.
pub(crate) fn slow_start(metadata: &Metadata) -> Result<Option<SlowStart>, Invalid> {
    let number = |key| match metadata.get(key) {
        None => Ok(None),
        Some(text) => match millis(metadata, key) {
            Some(number) => Ok(Some(number)),
            None => Err(Invalid::new(key, "must be a whole number", text)),
        },
    };
    let Some(duration_ms) = number(SLOW_START_MS)? else {
        return Ok(None);
    };
    let curve = match metadata.get(SLOW_START_CURVE) {
        None | Some("linear") => Curve::Linear,
        Some("quadratic") => Curve::Quadratic,
        Some(other) => {
            return Err(Invalid::new(
                SLOW_START_CURVE,
                "must be linear or quadratic",
                other,
            ));
        }
    };
    let percent = number(SLOW_START_PERCENT)?.unwrap_or(SlowStart::MIN_PERCENT_DEFAULT.into());
    let slow_start = SlowStart::new(duration_ms, curve, percent).map_err(|invalid| {
        let key = match &*invalid.field {
            "slow_start.duration_ms" => SLOW_START_MS,
            _ => SLOW_START_PERCENT,
        };
        invalid.in_field(key)
    })?;
    Ok(Some(slow_start))
}

/// Reads a JSON object of scalars, or `k1=v1,k2=v2`. Nacos 2.x: numbers and booleans become text. A `null` becomes
/// the empty text, which is what clients make of it.
///
/// # Errors
/// If it is neither, or too long.
pub(crate) fn parse(text: &str) -> Result<Metadata, Invalid> {
    let malformed = || invalid("must be a JSON object of texts, or a list k1=v1,k2=v2", text);
    let entries = if text.trim_start().starts_with('{') {
        object(text).ok_or_else(malformed)?
    } else {
        list(text).ok_or_else(malformed)?
    };
    checked(entries)
}

/// Reads what JSON has as the metadata of a beat.
///
/// # Errors
/// If it is not an object of scalars, or too long.
pub(crate) fn parse_json(json: &str) -> Result<Metadata, Invalid> {
    let entries = object(json).ok_or_else(|| invalid("must be a JSON object of texts", json))?;
    checked(entries)
}

/// The times of an instance. Nacos 2.x: what is not a number counts as absent; the interval is at most each of the
/// others.
///
/// # Errors
/// Names the key whose time breaks a rule.
pub(crate) fn timings(metadata: &Metadata, defaults: Timings) -> Result<Timings, Invalid> {
    let time = |key, default| millis(metadata, key).map_or(default, Duration::from_millis);
    let interval = time(BEAT_INTERVAL, defaults.interval());
    let timeout = time(BEAT_TIMEOUT, defaults.unhealthy_after());
    let delete = time(DELETE_TIMEOUT, defaults.remove_after());
    Timings::new(interval, timeout, delete).map_err(|invalid| {
        let key = match &*invalid.field {
            "interval_ms" => BEAT_INTERVAL,
            "unhealthy_after_ms" => BEAT_TIMEOUT,
            _ => DELETE_TIMEOUT,
        };
        invalid.in_field(key)
    })
}

/// The number at `key`, if it is one; the largest there is if it is larger.
pub(crate) fn millis(metadata: &Metadata, key: &str) -> Option<u64> {
    let text = metadata.get(key)?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn object(json: &str) -> Option<BTreeMap<String, String>> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    let texts = members
        .into_iter()
        .map(|(key, value)| Some((key, scalar(value)?)));
    texts.collect()
}

/// The text of a scalar, numbers as they are written. Nacos (Jackson) does the same. `None` for anything else.
fn scalar(json: &RawValue) -> Option<String> {
    match json.get().as_bytes().first()? {
        b'"' => serde_json::from_str(json.get()).ok(),
        b'{' | b'[' => None,
        b'n' => Some(String::new()),
        _ => Some(json.get().to_owned()),
    }
}

/// Each piece must have exactly two parts; like in Java, empty ones at the end do not count.
fn list(text: &str) -> Option<BTreeMap<String, String>> {
    let pieces = text.trim_end_matches(',').split(',');
    let entries = pieces.map(|piece| {
        let (key, value) = piece.trim_end_matches('=').split_once('=')?;
        (!value.contains('=')).then(|| (key.to_owned(), value.to_owned()))
    });
    entries.collect()
}

fn checked(entries: BTreeMap<String, String>) -> Result<Metadata, Invalid> {
    let chars: usize = entries
        .iter()
        .map(|(key, value)| key.encode_utf16().count() + value.encode_utf16().count())
        .sum();
    if chars > METADATA_CHARS_MAX {
        let rule = format!("must have at most {METADATA_CHARS_MAX} characters of keys and values");
        return Err(Invalid::new(
            Param::Metadata.as_str(),
            rule,
            &format!("{chars} characters"),
        ));
    }
    Metadata::new(entries)
}

fn invalid(rule: &'static str, value: &str) -> Invalid {
    Invalid::new(Param::Metadata.as_str(), rule, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_lists_are_read_and_nothing_else() {
        for (text, entries) in [
            (r#"{"a":"b"}"#, Some(vec![("a", "b")])),
            (
                r#" { "n" : 1.50, "t":true, "z":null } "#,
                Some(vec![("n", "1.50"), ("t", "true"), ("z", "")]),
            ),
            (r#"{"a":"1","a":"2"}"#, Some(vec![("a", "2")])),
            (r#"{"a":"\u00fc\n"}"#, Some(vec![("a", "ü\n")])),
            ("{}", Some(vec![])),
            (r#"{"a":{}}"#, None),
            (r#"{"a":["x=y"]}"#, None),
            (r#"{"a":"\ud800"}"#, None),
            (r#"{"":"x"}"#, None),
            ("[]", None),
            ("a=b,c=d", Some(vec![("a", "b"), ("c", "d")])),
            ("a=b,", Some(vec![("a", "b")])),
            ("a=b=c", None),
            ("a=", None),
            ("a", None),
            (",a=b", None),
            ("garbage", None),
        ] {
            let parsed = parse(text).ok();
            let parsed = parsed
                .as_ref()
                .map(|metadata| metadata.iter().collect::<Vec<_>>());
            assert_eq!(parsed, entries, "{text}");
        }
    }

    #[test]
    fn there_is_a_bound_to_entries_as_well_as_to_their_length() {
        let list = |entries: usize| {
            let entries: Vec<String> = (0..entries).map(|number| format!("{number}=v")).collect();
            parse(&entries.join(","))
        };
        assert!(list(128).is_ok());
        assert_eq!(list(129).unwrap_err().field, Param::Metadata.as_str());
    }

    #[test]
    fn times_that_are_not_numbers_count_as_absent() {
        for (key, value, timings_ms) in [
            (BEAT_INTERVAL, "3000", Some((3_000, 15_000, 30_000))),
            (BEAT_INTERVAL, "3s", Some((5_000, 15_000, 30_000))),
            (BEAT_INTERVAL, "-1", Some((5_000, 15_000, 30_000))),
            (BEAT_INTERVAL, "15000", Some((15_000, 15_000, 30_000))),
            (BEAT_INTERVAL, "15001", None),
            (BEAT_INTERVAL, "0", None),
            (DELETE_TIMEOUT, "99999999999999999999", None),
            (DELETE_TIMEOUT, "10000", Some((5_000, 15_000, 10_000))),
        ] {
            let metadata = Metadata::new([(key, value)]).unwrap();
            let found = timings(&metadata, Timings::DEFAULT).ok().map(|timings| {
                (
                    timings.interval().as_millis(),
                    timings.unhealthy_after().as_millis(),
                    timings.remove_after().as_millis(),
                )
            });
            assert_eq!(found, timings_ms, "{key}={value}");
        }
        let metadata = Metadata::new([(BEAT_INTERVAL, "20000")]).unwrap();
        assert_eq!(
            timings(&metadata, Timings::DEFAULT).unwrap_err().field,
            BEAT_TIMEOUT
        );
    }
}
