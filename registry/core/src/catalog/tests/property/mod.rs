//! The catalog against the naive model, and deltas against views: any operations in any order.

mod both;
mod ops;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::deltas::{Contents, caught_up, contents};
use crate::catalog::testing::{World, key};
use crate::catalog::{CatalogConfig, View};
use crate::model::Revision;
pub(super) use both::Both;
use ops::SERVICES;
pub(super) use ops::{Op, operation};

fn agree(ops: Vec<Op>) {
    let mut both = Both::new();
    let mut held: Option<(Arc<View>, Contents)> = None;
    for (step, op) in ops.into_iter().enumerate() {
        both.step(&op);
        both.compare();
        if both.world.checkpoint.is_empty() {
            assert_eq!(both.world.catalog.log().len() as u64, both.model.changes);
        }
        if let Some((view, before)) = &held {
            assert_eq!(contents(view), *before, "a held view stays as it was");
        }
        if step % 16 == 0 {
            held = both
                .world
                .view(SERVICES[step % 3])
                .map(|view| (Arc::clone(&view), contents(&view)));
        }
    }
}

/// All that a delta or its refusal may depend on: what readers of each service held at each revision.
fn deltas_lead_to_the_newest_view(ops: Vec<Op>, log: usize) {
    let mut both = Both::new();
    both.world = World::new(CatalogConfig {
        change_log_max: log,
        guard: crate::liveness::GuardConfig {
            enabled: false,
            ..Default::default()
        },
        flap: crate::liveness::FlapConfig {
            enabled: false,
            ..Default::default()
        },
        ..CatalogConfig::default()
    });
    let mut held: BTreeMap<(&str, Revision), Contents> = BTreeMap::new();
    for op in ops {
        // A replay replays the whole history, hence also the changes of services that had been dropped.
        both.step(&op);
        let now = both.world.revision();
        for service in SERVICES {
            let newest = both
                .world
                .view(service)
                .map(|view| contents(&view))
                .unwrap_or_default();
            held.insert((service, now), newest.clone());
            for ((of, since), before) in held.iter().filter(|((of, _), _)| *of == service) {
                match caught_up(&both.world, of, before, *since) {
                    Some(after) => assert_eq!(after, newest, "{of} since {since}"),
                    None => assert!(
                        is_too_old(&both.world, of, *since),
                        "{of} since {since} is not too old"
                    ),
                }
            }
        }
    }
}

/// Whether a change of the service after `since` has been dropped, or the service itself came or went since.
fn is_too_old(world: &World, service: &str, since: Revision) -> bool {
    let Some((_, found)) = world.catalog.service(key(service).borrowed()) else {
        return since != world.revision();
    };
    // What was told between a restart and the end of warming may have been incomplete.
    if world.catalog.restored <= since && since < world.catalog.warmed {
        return true;
    }
    let held: Vec<_> = world
        .catalog
        .log()
        .after(since)
        .filter(|change| change.service == key(service))
        .collect();
    let changes = world.changes.iter().filter(|(_, of)| *of == key(service));
    let after = changes.filter(|(revision, _)| *revision > since).count();
    since < found.floor || held.len() < after
}

/// 400 cases, or as many as `PROPTEST_CASES` says. What is found becomes a named test, not a file of seeds.
pub(super) fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(400),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_catalog_agrees_with_the_model(ops in prop::collection::vec(operation(), 1..80)) {
        agree(ops);
    }

    #[test]
    fn a_delta_from_any_revision_leads_to_the_newest_view(
        ops in prop::collection::vec(operation(), 1..60),
        log in prop_oneof![1_usize..20, Just(10_000)],
    ) {
        deltas_lead_to_the_newest_view(ops, log);
    }
}
