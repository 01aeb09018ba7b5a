//! The invariants of the design, as checks of the catalog against the oracle.

use super::machine::Machine;
use super::oracle::{Stand, TICK};
use crate::catalog::testing::World;
use crate::catalog::tests::deltas::{Contents, caught_up, contents};
use crate::catalog::{GuardEvent, Mutation};
use crate::liveness::{GuardConfig, LivenessClock};
use crate::model::{Health, Marks, Reason, Revision, ServiceKey};

/// Every change has one revision, revisions strictly grow, a view shows one state.
pub(super) fn invariant_1_each_change_has_one_revision(machine: &Machine) {
    let world = &machine.world;
    let history = &world.history;
    assert_eq!(history.len() as u64, world.revision().0);
    let last = history.iter().rev().take(64).rev();
    assert!(
        last.clone()
            .zip(last.skip(1))
            .all(|(one, next)| one.revision.next() == next.revision)
    );
    for service in &machine.services {
        let Some(view) = world.view(service) else { continue };
        let newest = view
            .members()
            .map(|member| member.state.revision)
            .max()
            .unwrap_or_default();
        assert!(newest <= view.revision && view.revision <= world.revision());
    }
}

/// Unhealthy and gone not before the time, by the liveness time and by the time that the registry was awake: what
/// falls due while it is stalled or down falls due later (invariants 3 and 6).
pub(super) fn invariants_3_and_6_nothing_is_early(machine: &Machine, mutations: &[Mutation]) {
    let (now, awake) = (machine.world.now.0, machine.awake());
    for mutation in mutations {
        // What else is due are the ends of layers and services, which are not so soon here.
        let Some((service, endpoint)) = mutation.subject().instance() else {
            assert_eq!(*mutation, Mutation::Warmed);
            continue;
        };
        let Some(known) = machine.oracle.known.get(&(service.clone(), endpoint.clone())) else {
            continue;
        };
        let held = machine.oracle.held(service);
        let (unhealthy, remove) = (known.unhealthy_at(), known.removed_at());
        if machine.oracle.is_off(service) {
            let returns = matches!(
                mutation,
                Mutation::Measured {
                    reason: Reason::Beat,
                    ..
                }
            );
            // Of a guard that begins those profit, too, who were flipped before.
            let protects = matches!(
                mutation,
                Mutation::Measured {
                    reason: Reason::Guarded,
                    ..
                }
            ) && known.stand == Stand::Silent;
            assert!(
                returns || protects,
                "{mutation:?} although silence has no consequences"
            );
        }
        let after = match mutation {
            Mutation::Measured {
                reason: Reason::Silent,
                ..
            } => {
                assert!(!held, "{mutation:?} although the guard holds");
                assert!(unhealthy <= now, "{mutation:?} at {now} is early for {known:?}");
                known.timings.unhealthy_after()
            }
            Mutation::Measured {
                reason: Reason::Guarded,
                marks,
                health,
                ..
            } => {
                assert!(
                    held && marks.has(Marks::SUSPECT) && *health == Health::Healthy,
                    "{mutation:?} without a guard"
                );
                assert!(
                    unhealthy.min(remove) <= now,
                    "{mutation:?} at {now} is early for {known:?}"
                );
                known.timings.unhealthy_after().min(known.timings.remove_after())
            }
            Mutation::Removed {
                reason: Reason::Expired,
                ..
            } => {
                assert!(!held, "{mutation:?} although the guard holds");
                assert!(remove <= now, "{mutation:?} at {now} is early for {known:?}");
                known.timings.remove_after()
            }
            Mutation::Measured {
                reason: Reason::Beat, ..
            } => {
                assert!(known.beats(now), "{mutation:?} without a beat");
                continue;
            }
            other => panic!("nobody asked for {other:?}"),
        };
        let silent = awake - known.last_beat_awake;
        assert!(
            silent >= after.as_micros() as u64,
            "{mutation:?} after {silent} us awake, {known:?}"
        );
    }
}

/// After a turn nobody is overdue by more than the tick, and no beat was lost.
pub(super) fn invariant_3_deadlines_are_exact(machine: &Machine) {
    let now = machine.world.now.0;
    for (name, known) in &machine.oracle.known {
        let held = machine.oracle.held(&name.0);
        let (unhealthy, remove) = (known.unhealthy_at(), known.removed_at());
        let due = match known.stand {
            Stand::Live => Some(unhealthy.min(remove)),
            Stand::Suspect if held => None,
            Stand::Suspect => Some(unhealthy.min(remove)),
            Stand::Silent if held => None,
            // A turn that was late itself may flip it after it was to be removed; the removal is the next one.
            Stand::Silent => Some(remove.max(known.since + TICK)),
        };
        if let Some(due) = due.filter(|_| !machine.oracle.is_off(&name.0)) {
            assert!(
                now < due.next_multiple_of(TICK),
                "{name:?} is overdue at {now}: {known:?}"
            );
        }
        let beat = known.beats(now);
        let seen = known.stand == Stand::Live || now < known.since.max(known.last_beat) + 2 * TICK;
        assert!(!beat || seen, "the beat of {name:?} was lost: {known:?} at {now}");
    }
}

/// What readers see is what was committed; counts agree; suspects are shown as such and serve (rules 2 and 4).
pub(super) fn invariant_4_views_show_what_was_measured(machine: &Machine) {
    let mut seen = 0;
    for service in &machine.services {
        let Some(view) = machine.world.view(service) else {
            continue;
        };
        for member in view.members() {
            let known = &machine.oracle.known[&(view.key.clone(), member.endpoint.clone())];
            let expected = match known.stand {
                Stand::Live => (Health::Healthy, false),
                Stand::Silent => (Health::Unhealthy, false),
                Stand::Suspect => (Health::Healthy, true),
            };
            assert_eq!(
                (member.state.health, member.state.suspect()),
                expected,
                "{member:?}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, machine.oracle.known.len());
    assert_eq!(seen, machine.world.catalog.instances());
}

/// After a restart the lists are what they were, but for what the guard of the process before said.
pub(super) fn invariant_8_a_restart_changes_no_list(services: &[String], before: &[Contents], world: &World) {
    for (service, before) in services.iter().zip(before) {
        let after = world.view(service).map(|view| contents(&view));
        assert_eq!(after.unwrap_or_default(), unmarked(before));
    }
}

/// After a restart it is complete again within a beat window, and who was heard of since then is shown as confirmed.
pub(super) fn invariant_8_who_beats_after_a_restart_is_confirmed(machine: &Machine) {
    let world = &machine.world;
    let window = world.catalog.config().beat_window;
    let over = machine
        .restarted
        .after(window)
        .after(LivenessClock::LOOK_INTERVAL);
    assert!(
        world.catalog.complete() || world.now <= over,
        "it never ends to warm up"
    );
    if !world.catalog.complete() {
        return;
    }
    for service in &machine.services {
        let Some(view) = world.view(service) else { continue };
        assert!(view.complete);
        for member in view
            .members()
            .filter(|member| member.state.marks.has(Marks::UNCONFIRMED))
        {
            let known = &machine.oracle.known[&(view.key.clone(), member.endpoint.clone())];
            assert!(
                known.last_beat <= known.restarted,
                "{member:?} was heard of: {known:?}"
            );
        }
    }
}

fn unmarked(contents: &Contents) -> Contents {
    let mut contents = contents.clone();
    for (state, _) in contents.values_mut() {
        state.marks = Marks::NONE;
    }
    contents
}

/// A reader that comes back is led to the newest view, or told that it needs a snapshot. Returns which.
pub(super) fn invariant_9_who_comes_back_catches_up(
    world: &World,
    service: &str,
    held: &(Revision, Contents),
) -> (bool, Contents) {
    let newest = world
        .view(service)
        .map(|view| contents(&view))
        .unwrap_or_default();
    let caught_up = caught_up(world, service, &held.1, held.0);
    if let Some(caught_up) = &caught_up {
        // That no guard holds any more is told at the end of warming to whoever had seen all of the process before: until
        // then nobody can tell him from one who was told since.
        let last_before = held.0 == world.catalog.restored && !world.catalog.complete();
        match last_before {
            true => assert_eq!(
                unmarked(caught_up),
                unmarked(&newest),
                "{service} since {}",
                held.0
            ),
            false => assert_eq!(*caught_up, newest, "{service} since {}", held.0),
        }
    }
    (caught_up.is_some(), newest)
}

/// A forced guard holds for its time and not longer, however many are well.
pub(super) fn invariant_10_a_forced_guard_holds_for_its_time(machine: &Machine) {
    let (now, oracle) = (machine.world.now.0, &machine.oracle);
    for (scope, until) in &oracle.forced {
        assert!(now < *until, "the forced guard of {scope:?} holds at {now}");
        let holds = scope
            .as_ref()
            .map_or(oracle.everywhere, |scope| oracle.holding.contains(scope));
        assert!(holds, "the forced guard of {scope:?} does not hold at {now}");
    }
}

/// A guard holds only while those of its scope who are silent, and can fall, are above the threshold. To be looked at
/// when it was judged and nothing that came of it is applied yet.
pub(super) fn invariant_10_the_guard_holds_for_those_who_can_fall_only(
    machine: &Machine,
    events: &[GuardEvent],
) {
    let (now, oracle, catalog) = (machine.world.now.0, &machine.oracle, &machine.world.catalog);
    let config = &machine.guard;
    let window = config.window.as_micros() as u64;
    // Each is counted from when it was seen to fall; what came of it stands later, if at all.
    let recent = |at: u64| now <= at + window;
    let services = oracle.holding.iter().cloned().map(Some);
    let scopes = services.chain(oracle.everywhere.then_some(None));
    for scope in scopes.filter(|scope| !oracle.forced.contains_key(scope)) {
        let counts = |service: &ServiceKey| match &scope {
            Some(scope) => scope == service,
            None => !oracle.off.contains(&Some(service.clone())),
        };
        let open = match &scope {
            Some(scope) => catalog
                .service(scope.borrowed())
                .and_then(|(_, service)| service.guard.as_deref()),
            None => Some(&catalog.guard),
        };
        let open = open.map_or(0, |guard| guard.open() as usize);
        let gone = oracle.expired.iter();
        let gone = gone
            .filter(|(at, service)| recent(*at) && counts(service))
            .count();
        let known = || oracle.known.iter().filter(|(name, _)| counts(&name.0));
        let trips = events.contains(&GuardEvent::Holds(scope.clone()));
        let silent = known().filter(|(_, known)| match known.stand {
            Stand::Live => false,
            Stand::Silent => trips && recent(known.since),
            Stand::Suspect => true,
        });
        let silent = silent.count() + open + gone;
        let population = known().count() + gone;
        assert!(
            silent * 100 > population * config.threshold_percent as usize,
            "the guard of {scope:?} holds at {now} for {silent} of {population}"
        );
    }
}

/// Where so many fall silent that the guard must hold, it holds; unless it ended not long ago.
pub(super) fn invariant_10_no_mass_expiry_goes_unguarded(machine: &Machine, config: &GuardConfig) {
    let now = machine.world.now.0;
    let oracle = &machine.oracle;
    // Silences are counted by sixteenths of the window, so that some are forgotten up to one part early.
    let window = config.window.as_micros() as u64 * 14 / 16;
    let recent = |(at, _): &&(u64, (ServiceKey, crate::model::Endpoint))| now < at + window;
    let check = |scope: Option<&ServiceKey>| {
        // For a guard of the registry those count who can fall.
        let of = |service: &ServiceKey| match scope {
            Some(scope) => scope == service,
            None => !oracle.is_off(service),
        };
        let rests = oracle
            .ended
            .get(&scope.cloned())
            .is_some_and(|at| now <= at + config.rest.as_micros() as u64);
        let holds = scope.map_or(oracle.everywhere, |scope| oracle.holding.contains(scope));
        let fell = oracle
            .fell
            .iter()
            .filter(recent)
            .filter(|(_, name)| of(&name.0))
            .count();
        let fell_now = oracle.fell.iter().any(|(at, name)| *at == now && of(&name.0));
        let lost = oracle
            .lost
            .iter()
            .filter(recent)
            .filter(|(_, name)| of(&name.0))
            .count();
        let population = oracle.known.keys().filter(|name| of(&name.0)).count() + lost;
        let must = config.enabled
            && population >= config.population_min as usize
            && fell * 100 > population * config.threshold_percent as usize;
        assert!(
            !fell_now || !must || rests || holds,
            "{fell} of {population} in {scope:?} fell silent unguarded"
        );
    };
    check(None);
    for service in &machine.services {
        check(Some(&crate::catalog::testing::key(service)));
    }
    let (everywhere, holding) = machine.world.catalog.guarded();
    let holding: std::collections::BTreeSet<_> = holding.cloned().collect();
    assert_eq!((everywhere, holding), (oracle.everywhere, oracle.holding.clone()));
    let suspects = oracle
        .known
        .values()
        .filter(|known| known.stand == Stand::Suspect)
        .count();
    assert_eq!(machine.world.catalog.suspects() as usize, suspects);
}
