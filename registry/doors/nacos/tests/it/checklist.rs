//! The conformance checklist, read from `tests/checklist.txt` and asked of the real router: the file says how.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::harness::Nacos;
use crate::peers::Peers;

const CHECKLIST: &str = include_str!("../checklist.txt");
const LAST: u32 = 198;

/// What is done about an item.
#[derive(Debug, Default)]
struct Item {
    steps: Vec<&'static str>,
    /// Why it is not asked.
    left_out: Option<&'static str>,
    /// What is done here instead.
    differs: Option<&'static str>,
}

/// All items by their number.
fn items() -> BTreeMap<u32, Item> {
    let mut items: BTreeMap<u32, Item> = BTreeMap::new();
    let mut current = 0..=0;
    for line in CHECKLIST.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(numbers) = numbers(line) {
            current = numbers;
            for number in current.clone() {
                assert!(items.insert(number, Item::default()).is_none(), "{number} twice");
            }
            continue;
        }
        for number in current.clone() {
            let item = items.get_mut(&number).expect("a number comes before its steps");
            if let Some(reason) = line.strip_prefix("left out: ") {
                item.left_out = Some(reason);
            } else if let Some(instead) = line.strip_prefix("differs: ") {
                item.differs = Some(instead);
            } else {
                item.steps.push(line);
            }
        }
    }
    items
}

fn numbers(line: &str) -> Option<std::ops::RangeInclusive<u32>> {
    let (first, last) = line.split_once('-').unwrap_or((line, line));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

#[test]
fn no_number_is_missing_and_each_is_asked_or_says_why_not() {
    let items = items();
    assert!(items.keys().copied().eq(1..=LAST));
    for (number, item) in &items {
        let asked = item
            .steps
            .iter()
            .any(|step| step.contains(" => ") || step.starts_with("BEATS"));
        assert!(asked != item.left_out.is_some(), "{number}: {item:?}");
        let reason = item.left_out.or(item.differs);
        assert!(reason.is_none_or(|reason| reason.len() > 10), "{number}");
    }
    let left_out = items.values().filter(|item| item.left_out.is_some()).count();
    assert_eq!(left_out, 12 + 12, "datagrams, access control");
}

#[tokio::test(start_paused = true)]
async fn every_item_holds() {
    for (number, item) in items() {
        let nacos = Nacos::start().await;
        let mut peers = Peers::default();
        for step in item.steps {
            let step = &peers.placed(step).await;
            if let Err(why) = take(&nacos, step).await {
                panic!("item {number}: {step}\n{why}");
            }
        }
    }
}

async fn take(nacos: &Nacos, step: &str) -> Result<(), String> {
    if let Some(seconds) = step.strip_prefix("WAIT ") {
        sleep(Duration::from_secs(seconds.parse().unwrap())).await;
        return Ok(());
    }
    if let Some(times) = step.strip_prefix("BEATS ") {
        for _ in 0..times.parse().unwrap() {
            sleep(Duration::from_secs(5)).await;
            ask(nacos, "PUT NS/instance/beat?INST", "200 {\"code\":10200}").await?;
            ask(
                nacos,
                "LIST serviceName=S",
                "200 {\"hosts\":[{\"healthy\":true}]}",
            )
            .await?;
        }
        return Ok(());
    }
    // Three ephemeral hosts, of which the first is healthy.
    if step == "THREE" {
        for (ip, healthy) in [("1.1.1.1", true), ("1.1.1.2", false), ("1.1.1.3", false)] {
            let ask_for = format!("POST NS/instance?serviceName=S&ip={ip}&port=80&healthy={healthy}");
            ask(nacos, &ask_for, "200 = ok").await?;
        }
        return Ok(());
    }
    let (request, expected) = step.split_once(" => ").expect("a step has an expectation");
    ask(nacos, request, expected).await
}

async fn ask(nacos: &Nacos, request: &str, expected: &str) -> Result<(), String> {
    let request = repeated(&request.replace("INST", "serviceName=S&ip=1.1.1.1&port=80"))
        .replace("LIST ", "GET NS/instance/list?")
        .replace("NS/", "/nacos/v1/ns/");
    let (head, body) = match request.split_once(" | ") {
        Some((head, body)) => (head, Some(body.as_bytes())),
        None => (&*request, None),
    };
    let (method, uri) = head.split_once(' ').expect("a method and a path");
    let answer = nacos.ask(method, &escaped(uri), body).await;
    let (status, what) = expected.split_once(' ').unwrap_or((expected, ""));
    let found = format!("{} {}", answer.status, answer.text);
    if status.parse() != Ok(answer.status) {
        return Err(found);
    }
    let holds = if what.is_empty() {
        true
    } else if let Some(exactly) = what.strip_prefix("= ") {
        answer.text == exactly
    } else if let Some(part) = what.strip_prefix("~ ") {
        answer.text.contains(part)
    } else {
        let expected: Value = serde_json::from_str(what).unwrap();
        let now = nacos.registry.wall().0;
        fits(&answer.json(), &expected, now)
    };
    if holds { Ok(()) } else { Err(found) }
}

/// Whether `found` is what is `expected`; see the file.
fn fits(found: &Value, expected: &Value, now: u64) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(name, expected)| match found.get(name) {
                Some(found) => fits(found, expected, now),
                None => expected == "<absent>",
            })
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|(found, expected)| fits(found, expected, now))
        }
        (found, Value::String(expected)) => match expected.as_str() {
            "<any>" => true,
            "<absent>" => false,
            "<number>" => found.is_number(),
            "<text>" => found.is_string(),
            "<now>" => found.as_u64().is_some_and(|time| now.abs_diff(time) <= 5_000),
            text => match text
                .strip_prefix("<ends ")
                .and_then(|text| text.strip_suffix('>'))
            {
                Some(end) => found.as_str().is_some_and(|found| found.ends_with(end)),
                None => found == text,
            },
        },
        (found, expected) => found == expected,
    }
}

/// `x<3>` is `xxx`.
fn repeated(text: &str) -> String {
    let Some((before, rest)) = text.split_once('<') else {
        return text.to_owned();
    };
    let (count, after) = rest.split_once('>').expect("a count ends");
    let letter = &before[before.len() - 1..];
    let count: usize = count.parse().unwrap();
    format!("{before}{}{}", letter.repeat(count - 1), repeated(after))
}

/// Escapes what a URI cannot hold.
fn escaped(uri: &str) -> String {
    let escape = |c: char| match c {
        '{' | '}' | '"' | '[' | ']' => format!("%{:02X}", u32::from(c)),
        c => c.to_string(),
    };
    uri.chars().map(escape).collect()
}
