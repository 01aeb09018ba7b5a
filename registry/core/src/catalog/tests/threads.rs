//! Beats from several threads beside a writer (invariant 2): none of a standing instance is lost, nobody waits.
//!
//! That a beat allocates nothing cannot be tested here: an allocator that counts needs `unsafe`.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::catalog::testing::{World, address, at_ms, beat, endpoint, key};
use crate::liveness::Beat;
use crate::model::{Lease, Mono};

const THREADS: usize = 3;
const STANDING: usize = 300;

/// Registers and removes others, so that tables grow, places are used again and are rebuilt.
fn churn(world: &mut World, round: usize) {
    for number in 0..400 {
        world.register("t", &address(1_000 + (round * 37 + number) % 700), beat());
    }
    for number in 0..400 {
        let _ = world.deregister("t", &address(1_000 + (round * 53 + number) % 700));
    }
}

#[test]
fn no_beat_of_a_standing_instance_is_lost_beside_a_writer() {
    let mut world = World::without_guard();
    let leases = world.register_many("s", STANDING);
    let beats = world.catalog.beats();
    let now = AtomicU64::new(0);
    let barrier = Barrier::new(THREADS + 1);
    const ROUNDS: usize = 60;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (beats, leases, now, barrier) = (&beats, &leases, &now, &barrier);
            scope.spawn(move || {
                let mine: Vec<Lease> = leases.iter().skip(thread).step_by(THREADS).copied().collect();
                for _ in 0..ROUNDS {
                    barrier.wait();
                    beats.renew(&mine, Mono(now.load(Ordering::Acquire)), |position, beat| {
                        panic!("{beat:?} of {position}")
                    });
                    barrier.wait();
                }
            });
        }
        for round in 0..ROUNDS {
            world.advance(Duration::from_secs(14));
            now.store(world.now.0, Ordering::Release);
            barrier.wait();
            churn(&mut world, round);
            barrier.wait();
        }
    });
    assert_eq!(world.count("s", "healthy"), STANDING);
    let changes = world
        .history
        .iter()
        .filter(|done| done.mutation.subject().service() == Some(&key("s")))
        .count();
    assert_eq!(changes, STANDING, "nobody was ever found silent");
}

#[test]
fn a_standing_instance_is_known_at_every_moment() {
    let mut world = World::without_guard();
    let leases = world.register_many("s", STANDING);
    let beats = world.catalog.beats();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (beats, leases, done) = (&beats, &leases, &done);
            scope.spawn(move || {
                let service = key("s");
                let endpoints: Vec<_> = (0..STANDING).map(|number| endpoint(&address(number))).collect();
                let mut rounds = 0;
                while !done.load(Ordering::Acquire) || rounds == 0 {
                    rounds += 1;
                    if thread == 0 {
                        for endpoint in &endpoints {
                            let (beat, interval) = beats.renew_at(service.borrowed(), endpoint, at_ms(1_000));
                            assert_eq!((beat, interval), (Beat::Renewed, Duration::from_secs(5)));
                        }
                    } else {
                        beats.renew(leases, at_ms(1_000), |position, beat| {
                            panic!("{beat:?} of {position}")
                        });
                    }
                }
            });
        }
        for round in 0..60 {
            churn(&mut world, round);
        }
        done.store(true, Ordering::Release);
    });
    world.advance_to_ms(15_999);
    assert_eq!(world.count("s", "healthy"), STANDING);
    world.advance_to_ms(16_000);
    assert_eq!(world.count("s", "unhealthy"), STANDING);
}

#[test]
fn readers_see_only_whole_states_beside_a_writer() {
    let mut world = World::without_guard();
    world.register_many("s", 200);
    let published = world.catalog.published();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (published, done) = (&published, &done);
        scope.spawn(move || {
            let service = key("s");
            let mut last = crate::model::Revision::ZERO;
            while !done.load(Ordering::Acquire) {
                let Some(view) = published
                    .get(service.borrowed())
                    .and_then(|shared| shared.fresh())
                else {
                    continue;
                };
                assert!(view.revision >= last);
                last = view.revision;
                // The writer only ever exchanges one instance for another, in two changes.
                let members: Vec<_> = view.members().map(|member| &member.endpoint).collect();
                assert_eq!(members.len(), view.len());
                assert!(members.len() == 200 || members.len() == 199);
                assert!(members.is_sorted());
                assert_eq!(view.healthy, members.len());
            }
        });
        for round in 0..2_000 {
            world.deregister("s", &address(round % 400)).unwrap();
            world.view("s").unwrap();
            world.register("s", &address((round + 200) % 400), beat());
            world.view("s").unwrap();
        }
        done.store(true, Ordering::Release);
    });
}

#[test]
fn a_reader_never_sees_a_service_before_its_first_revision() {
    let mut world = World::without_guard();
    let published = world.catalog.published();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut newest = 0;
                while !done.load(Ordering::Acquire) {
                    let shared = published.get(key("s").borrowed());
                    if let Some(view) = shared.and_then(|shared| shared.fresh()) {
                        assert!(
                            view.revision.0 >= newest.max(1),
                            "{} after {newest}",
                            view.revision
                        );
                        newest = view.revision.0;
                    }
                }
            })
        });
        for _ in 0..30_000 {
            world.register("s", "10.0.0.1:80", beat());
            world.view("s");
            world.deregister("s", "10.0.0.1:80").unwrap();
            world.remove_service("s").unwrap();
            if readers.iter().any(std::thread::ScopedJoinHandle::is_finished) {
                break;
            }
        }
        done.store(true, Ordering::Release);
    });
}
