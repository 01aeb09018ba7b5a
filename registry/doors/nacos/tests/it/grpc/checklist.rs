//! Looks that no number of the checklist is missing: each is in the name of a test, or it says here why not.

use std::collections::BTreeSet;

const LAST: u32 = 102;

/// The tests by number.
const TESTS: [&str; 12] = [
    include_str!("batches.rs"),
    include_str!("envelope.rs"),
    include_str!("fuzzy.rs"),
    include_str!("instances.rs"),
    include_str!("liveness.rs"),
    include_str!("persistent.rs"),
    include_str!("pushes.rs"),
    include_str!("refusals.rs"),
    include_str!("repeats.rs"),
    include_str!("services.rs"),
    include_str!("setting_up.rs"),
    include_str!("starting.rs"),
];

/// What is not asked here, and why.
const LEFT_OUT: [(u32, &str); 6] = [
    (95, "there is no access control yet: nobody needs a token"),
    (
        96,
        "there is no access control yet; that tokens are taken and passed over is asked in 97",
    ),
    (
        99,
        "whole clients are run against the whole registry, in the end-to-end tests",
    ),
    (
        100,
        "whole clients are run against the whole registry, in the end-to-end tests",
    ),
    (
        101,
        "whole clients are run against the whole registry, in the end-to-end tests",
    ),
    (
        102,
        "it is about Java's client against a server that has no persistent instances over gRPC; this one has",
    ),
];

/// What is asked in another way, and what is done instead.
const DIFFERS: [(u32, &str); 1] = [(
    98,
    "the port is there once the registry is; while it may not know all, only an empty list is refused with 300",
)];

/// The numbers in the names of tests: `checklist_1_...`, or `checklist_1_2_...`.
fn asked() -> BTreeSet<u32> {
    let names = TESTS
        .iter()
        .flat_map(|file| file.split("async fn checklist_").skip(1));
    let numbers = names.flat_map(|name| name.split('_').map_while(|part| part.parse().ok()));
    let mut asked = BTreeSet::new();
    for number in numbers {
        assert!(asked.insert(number), "{number} is asked twice");
    }
    asked
}

#[test]
fn no_number_is_missing_and_each_is_asked_or_says_why_not() {
    let asked = asked();
    let left_out: BTreeSet<u32> = LEFT_OUT.iter().map(|(number, _)| *number).collect();
    assert!(asked.is_disjoint(&left_out));
    let all: BTreeSet<u32> = asked.union(&left_out).copied().collect();
    let missing: Vec<u32> = (1..=LAST).filter(|number| !all.contains(number)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(all.last(), Some(&LAST));
    for (number, why) in DIFFERS {
        assert!(asked.contains(&number) && !why.is_empty(), "{number}");
    }
}
