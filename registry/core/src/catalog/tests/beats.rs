//! Beats, leases and slots: who is found by which lease after others came and went.

use std::time::Duration;

use crate::catalog::slots::Phase;
use crate::catalog::testing::{World, beat, beat_with, endpoint, key, registration};
use crate::catalog::{Command, Decision};
use crate::liveness::Beat;
use crate::model::{Endpoint, Health, Liveness, Marks, Reason};

#[test]
fn after_its_removal_a_lease_is_unknown_also_when_its_slot_lives_on() {
    let mut world = World::without_guard();
    let first = world.register("s", "10.0.0.1:80", beat());
    world.deregister("s", "10.0.0.1:80").unwrap();
    assert_eq!(world.beat(first), Beat::Unknown);
    let second = world.register("t", "10.0.0.2:80", beat());
    assert_eq!(world.beat(first), Beat::Unknown);
    assert_eq!(
        world.catalog.holder(second),
        Some((key("t"), endpoint("10.0.0.2:80")))
    );
    let beats = world.catalog.beats();
    let old = beats.renew_at(key("s").borrowed(), &endpoint("10.0.0.1:80"), world.now);
    assert_eq!(old, (Beat::Unknown, Duration::ZERO));
    let new = beats.renew_at(key("t").borrowed(), &endpoint("10.0.0.2:80"), world.now);
    assert_eq!(new, (Beat::Renewed, Duration::from_secs(5)));
}

#[test]
fn a_slot_that_is_used_again_has_a_deadline_of_its_own() {
    let mut world = World::without_guard();
    world.register("s", "10.0.0.1:80", beat_with(1_000, 2_000, 3_000));
    world.advance_to_ms(1_000);
    world.deregister("s", "10.0.0.1:80").unwrap();
    world.register("s", "10.0.0.2:80", beat());
    world.advance_to_ms(15_999);
    assert_eq!(world.health("s", "10.0.0.2:80"), "healthy");
    world.advance_to_ms(16_000);
    assert_eq!(world.health("s", "10.0.0.2:80"), "unhealthy");
}

#[test]
fn a_stale_word_of_a_return_changes_nothing() {
    let mut world = World::without_guard();
    let first = world.register("s", "10.0.0.1:80", beat());
    world.advance_to_ms(15_000);
    let Beat::Returned(slot) = world.beat_unheard(first) else {
        panic!("it was silent")
    };
    // Before the word arrives the instance is gone and its slot belongs to another.
    world.deregister("s", "10.0.0.1:80").unwrap();
    assert_eq!(world.run(Command::Returned { slot }), Ok(0));
    world.register("s", "10.0.0.2:80", beat());
    assert_eq!(world.run(Command::Returned { slot }), Ok(0));
    // Also when that one is silent, too.
    world.advance_to_ms(30_000);
    assert_eq!(world.health("s", "10.0.0.2:80"), "unhealthy");
    assert_eq!(world.run(Command::Returned { slot }), Ok(0));
    assert_eq!(world.run(Command::Returned { slot: 4_000_000 }), Ok(0));
}

#[test]
fn two_words_of_one_return_are_one_change() {
    let mut world = World::without_guard();
    let lease = world.register("s", "10.0.0.1:80", beat());
    world.advance_to_ms(15_000);
    let Beat::Returned(slot) = world.beat_unheard(lease) else {
        panic!("it was silent")
    };
    assert_eq!(world.beat_unheard(lease), Beat::Returned(slot));
    assert_eq!(world.run(Command::Returned { slot }), Ok(1));
    assert_eq!(world.run(Command::Returned { slot }), Ok(0));
}

#[test]
fn a_beat_that_missed_the_flag_is_found_one_tick_later() {
    let mut world = World::without_guard();
    let lease = world.register("s", "10.0.0.1:80", beat());
    world.now = world.catalog.next_deadline().unwrap();
    let (mutations, _) = world.catalog.due(world.now);
    // It beats after it was found silent and before that is applied, so it sees no flag and tells nobody.
    world.now.0 += 1;
    assert_eq!(world.beat_unheard(lease), Beat::Renewed);
    world.commit(mutations);
    assert_eq!(world.health("s", "10.0.0.1:80"), "unhealthy");
    world.advance(Duration::from_millis(40));
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
    assert_eq!(world.last_reason(), Reason::Beat);
}

#[test]
fn a_beat_that_arrives_late_does_not_take_a_later_one_back() {
    let mut world = World::without_guard();
    let lease = world.register("s", "10.0.0.1:80", beat());
    world.advance_to_ms(10_000);
    world.beat(lease);
    world
        .catalog
        .beats()
        .renew(&[lease], crate::catalog::testing::at_ms(2_000), |_, _| {});
    world.advance_to_ms(24_999);
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
}

#[test]
fn silence_that_could_not_be_committed_comes_up_again_within_a_second() {
    let mut world = World::without_guard();
    let lease = world.register("s", "10.0.0.1:80", beat());
    world.register("s", "10.0.0.2:80", beat());
    world.journal_fails = true;
    world.advance_to_ms(17_500);
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
    // One of them beats in the meantime.
    world.beat(lease);
    world.journal_fails = false;
    world.advance_to_ms(18_500);
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
    assert_eq!(world.health("s", "10.0.0.2:80"), "unhealthy");
    world.advance_to_ms(29_999);
    world.journal_fails = true;
    world.advance_to_ms(31_000);
    world.journal_fails = false;
    world.advance_to_ms(32_000);
    assert_eq!(world.health("s", "10.0.0.2:80"), "gone");
}

#[test]
fn slots_cells_and_services_agree_after_much_coming_and_going() {
    let mut world = World::without_guard();
    let mut leases = Vec::new();
    for round in 0..50_u16 {
        for port in 1..=40_u16 {
            let address = format!("10.0.0.{}:{port}", round % 3);
            let liveness = if port % 4 == 0 {
                registration(Liveness::Static)
            } else {
                beat()
            };
            leases.push(world.register(&format!("s{}", port % 5), &address, liveness));
        }
        for port in (1..=40_u16).filter(|port| (port + round) % 3 != 0) {
            let address = format!("10.0.0.{}:{port}", round % 3);
            let _ = world.deregister(&format!("s{}", port % 5), &address);
        }
        world.advance(Duration::from_millis(u64::from(round) * 300));
        check_tables(&world);
    }
    let known = leases
        .iter()
        .filter(|lease| world.catalog.holder(**lease).is_some());
    let known: std::collections::BTreeSet<_> = known.collect();
    assert_eq!(known.len(), world.catalog.instances());
}

/// Each instance has one slot and one cell, both name it, and there are no others.
pub(super) fn check_tables(world: &World) {
    let catalog = &world.catalog;
    let beats = catalog.beats();
    let mut slots = std::collections::BTreeSet::new();
    let (mut healthy, mut watched, mut all_open, mut guarded_suspects) = (0, [0; 3], 0, 0);
    let mut fell = std::collections::BTreeMap::<u64, u32>::new();
    let mut of_sessions = Vec::new();
    for (name, index) in &catalog.directory {
        let service = catalog.services[*index as usize].as_ref().unwrap();
        assert!(service.counts_agree());
        assert_eq!(service.key(), name);
        let (mut in_service, mut recalled, mut awaited, mut in_service_open) = (0_u32, 0, 0, 0);
        // In a service where silence has no consequences nobody can fall.
        let expires = service.expires();
        let mut clusters = std::collections::BTreeSet::new();
        for member in service.roster.iter() {
            let slot = catalog.slots.get(member.slot).unwrap();
            let open = slot.phase == Phase::Live && slot.fell.get().is_some();
            in_service_open += u32::from(open);
            if expires {
                guarded_suspects += u32::from(slot.phase == Phase::Suspect);
                slot.fell
                    .get()
                    .into_iter()
                    .for_each(|part| *fell.entry(part).or_default() += 1);
            }
            assert!(slots.insert(member.slot), "one slot each");
            assert_eq!((&slot.endpoint, slot.service), (&member.endpoint, *index));
            let lease = beats.cell(member.slot).lease().unwrap();
            assert_eq!(beats.slot_of_lease(lease), Some(member.slot));
            assert_eq!(
                beats.slot_of(beats.identity(name.borrowed(), &member.endpoint)),
                Some(member.slot)
            );
            assert_eq!(
                catalog.holder(lease),
                Some((name.clone(), member.endpoint.clone()))
            );
            healthy += usize::from(member.healthy());
            let registration = &member.record.registration;
            assert_eq!(slot.expires, registration.expires);
            clusters.insert(registration.cluster.clone());
            if matches!(registration.liveness, Liveness::Beat(timings) if slot.timings == Some(timings)) {
                in_service += u32::from(registration.expires);
            } else if matches!(registration.liveness, Liveness::Session(_)) && slot.unconfirmed {
                assert_eq!(slot.timings, Some(catalog.config.returning));
                assert!(slot.is_awaited());
            } else {
                assert_eq!(slot.timings, None);
            }
            let of_session = matches!(registration.liveness, Liveness::Session(_));
            assert!(of_session || !slot.recalled);
            recalled += u32::from(slot.recalled);
            awaited += u32::from(of_session && slot.unconfirmed);
            if let Liveness::Session(session) = registration.liveness
                && !slot.unconfirmed
            {
                of_sessions.push((session, *index, member.slot));
            }
            assert!(!slot.unconfirmed || member.state.marks.has(Marks::UNCONFIRMED));
            let probed = catalog.probes.schedule.spec(member.slot).is_some();
            assert!(!probed || slot.probed);
            in_service += u32::from(probed);
        }
        let guarded = service.guard.as_ref().map_or(0, |guard| guard.open());
        assert_eq!(guarded, in_service_open, "silences to be settled");
        all_open += if expires { in_service_open } else { 0 };
        let in_service = [in_service, recalled, awaited];
        assert_eq!(service.population.counts(), in_service);
        assert_eq!(service.clusters.len(), clusters.len());
        for (all, here) in watched.iter_mut().zip(in_service) {
            *all += if expires { here } else { 0 };
        }
        let nobody = Endpoint::new("192.0.2.1", 9).unwrap();
        assert_eq!(beats.slot_of(beats.identity(name.borrowed(), &nobody)), None);
    }
    of_sessions.sort_unstable();
    assert!(catalog.sessions.iter().eq(of_sessions));
    assert_eq!(all_open, catalog.guard.open());
    assert_eq!(guarded_suspects, catalog.guard.suspects());
    for (part, silent) in catalog.guard.silent_by_part() {
        assert!(silent <= fell.get(&part).copied().unwrap_or_default());
    }
    assert_eq!(slots.len(), catalog.instances());
    assert_eq!(
        (healthy, watched),
        (catalog.healthy(), catalog.population.counts())
    );
    let suspects = slots
        .iter()
        .filter(|slot| catalog.at_slot(**slot).unwrap().2.state.suspect())
        .count();
    assert_eq!(suspects, catalog.suspects() as usize);
}

#[test]
fn an_expired_slot_is_not_decided_twice() {
    let mut world = World::without_guard();
    world.register("s", "10.0.0.1:80", beat());
    world.advance_to_ms(29_000);
    world.now = crate::catalog::testing::at_ms(30_000);
    let (mutations, _) = world.catalog.due(world.now);
    assert_eq!(mutations.len(), 1);
    assert_eq!(world.catalog.due(world.now).0.len(), 0);
    world.commit(mutations);
    world.advance(Duration::from_secs(5));
    assert_eq!(world.catalog.log().len(), 3);
    let declare = Command::Declare {
        lease: crate::catalog::testing::lease(99),
        declared: None,
    };
    assert!(world.catalog.decide(declare, 0, world.now).is_err());
    assert_eq!(
        world.catalog.decide(Command::Returned { slot: 0 }, 0, world.now),
        Ok(Decision::Nothing)
    );
}

#[test]
fn a_registration_that_says_nothing_new_is_no_beat() {
    let mut world = World::without_guard();
    let unproven = |world: &mut World| world.try_register("s", "10.0.0.1:80", beat(), Health::Unhealthy);
    unproven(&mut world).unwrap();
    world.advance_to_ms(1);
    unproven(&mut world).unwrap();
    // The wheel has looked at it by now, and it has never beaten.
    world.advance_to_ms(15_000);
    assert_eq!(world.health("s", "10.0.0.1:80"), "unhealthy");
    assert_eq!(world.history.len(), 1, "{:?}", world.history);
}
