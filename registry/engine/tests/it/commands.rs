//! Commands that wait together are committed together, and yet each sees what came before it.

use beatrix_core::catalog::Refusal;
use beatrix_core::model::{Incarnation, Liveness, Registration, SessionId};
use beatrix_engine::WriteError;

use crate::support::journal::busy;
use crate::support::{
    beating, endpoint, fixed, key, living, member, nth, settle, try_register, weighing, with_metadata,
};

const A: &str = "10.0.0.1:80";

fn run_of_process(name: &str) -> Registration {
    Registration {
        incarnation: Some(name.parse::<Incarnation>().unwrap()),
        ..beating()
    }
}

#[tokio::test(start_paused = true)]
async fn two_about_the_same_instance_see_each_other() {
    let (registry, _script) = busy().await;
    let (service, address) = (key("s"), endpoint(A));
    let (registered, operated, same, gone, again, unknown) = tokio::join!(
        try_register(&registry, "s", endpoint(A), beating()),
        registry.operate(service.clone(), address.clone(), weighing(7)),
        registry.operate(service.clone(), address.clone(), weighing(7)),
        registry.deregister(service.clone(), address.clone(), None, &[]),
        try_register(&registry, "s", endpoint(A), fixed()),
        registry.deregister(service.clone(), endpoint("10.0.0.2:80"), None, &[]),
    );
    assert!(registered.unwrap().changed);
    assert!(operated.unwrap().changed);
    assert!(!same.unwrap().changed);
    assert!(gone.unwrap().changed);
    assert!(again.unwrap().changed);
    assert!(matches!(
        unknown,
        Err(WriteError::Refused(Refusal::InstanceNotFound(..)))
    ));
    // The operator's layer went with the goodbye.
    let member = member(&registry, "s", A).unwrap();
    assert_eq!(member.record.registration, fixed());
    assert!(member.record.operator().is_none());
}

#[tokio::test(start_paused = true)]
async fn of_two_runs_of_a_process_the_later_holds_the_lease() {
    let (registry, _script) = busy().await;
    let (one, two) = tokio::join!(
        try_register(&registry, "s", endpoint(A), run_of_process("one")),
        try_register(&registry, "s", endpoint(A), run_of_process("two")),
    );
    let (one, two) = (one.unwrap().lease, two.unwrap().lease);
    assert_ne!(one, two);
    assert!(!crate::support::beat(&registry, one));
    assert!(crate::support::beat(&registry, two));
    // The first says goodbye late: that must not take the second with it.
    let late = registry.deregister(key("s"), endpoint(A), Some(one), &[]).await;
    assert!(matches!(
        late,
        Err(WriteError::Refused(Refusal::LeaseMismatch(..)))
    ));
    assert!(member(&registry, "s", A).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_and_a_registration_that_race_end_as_the_later_says() {
    let (registry, _script) = busy().await;
    try_register(&registry, "s", endpoint(A), beating())
        .await
        .unwrap();
    for round in 0..20 {
        let renewed = with_metadata(beating(), &round.to_string());
        let (gone, back) = tokio::join!(
            registry.deregister(key("s"), endpoint(A), None, &[]),
            try_register(&registry, "s", endpoint(A), renewed.clone()),
        );
        assert!(gone.unwrap().changed && back.unwrap().changed);
        assert_eq!(member(&registry, "s", A).unwrap().record.registration, renewed);

        let (back, gone) = tokio::join!(
            try_register(&registry, "s", endpoint(A), beating()),
            registry.deregister(key("s"), endpoint(A), None, &[]),
        );
        assert!(back.unwrap().changed && gone.unwrap().changed);
        assert!(member(&registry, "s", A).is_none());
        try_register(&registry, "s", endpoint(A), beating())
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_closes_takes_along_what_it_just_registered() {
    let (registry, _script) = busy().await;
    let session = SessionId(7);
    let (one, two, closed, after) = tokio::join!(
        try_register(&registry, "s", nth(1), living(Liveness::Session(session))),
        try_register(&registry, "t", nth(2), living(Liveness::Session(session))),
        registry.close_session(session),
        try_register(&registry, "s", nth(3), living(Liveness::Session(SessionId(8)))),
    );
    assert!(
        one.unwrap().changed && two.unwrap().changed && closed.unwrap().changed && after.unwrap().changed
    );
    assert!(registry.view(key("t").borrowed()).unwrap().is_empty());
    assert_eq!(registry.view(key("s").borrowed()).unwrap().len(), 1);
    assert!(!registry.close_session(session).await.unwrap().changed);
}

#[tokio::test(start_paused = true)]
async fn one_that_moved_to_another_connection_survives_the_end_of_the_first() {
    let (registry, _script) = busy().await;
    let (old, new) = (SessionId(1), SessionId(2));
    let (registered, moved, closed) = tokio::join!(
        try_register(&registry, "s", nth(1), living(Liveness::Session(old))),
        try_register(&registry, "s", nth(1), living(Liveness::Session(new))),
        registry.close_session(old),
    );
    // That it is another's is no change.
    assert!(registered.unwrap().changed && !moved.unwrap().changed);
    assert!(!closed.unwrap().changed);
    assert_eq!(registry.view(key("s").borrowed()).unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_and_the_end_of_its_connection_remove_it_once() {
    let (registry, script) = busy().await;
    let session = SessionId(1);
    try_register(&registry, "s", nth(1), living(Liveness::Session(session)))
        .await
        .unwrap();
    let blocks = registry.clone();
    tokio::spawn(async move { try_register(&blocks, "first", nth(9), fixed()).await });
    settle().await;
    let before = script.committed().len();
    let (gone, closed) = tokio::join!(
        registry.deregister(key("s"), nth(1), None, &[]),
        registry.close_session(session),
    );
    assert!(gone.unwrap().changed);
    assert!(!closed.unwrap().changed);
    assert_eq!(script.committed().len(), before + 2, "the block, and one removal");
}

/// A node with thousands of clients goes: all their connections close in the same moment.
#[tokio::test(start_paused = true)]
async fn connections_that_close_together_are_few_commits() {
    let (registry, script) = busy().await;
    let writes: Vec<_> = (0..500_u32)
        .map(|number| {
            let registry = registry.clone();
            let session = living(Liveness::Session(SessionId(number.into())));
            tokio::spawn(async move { try_register(&registry, "s", nth(number as usize), session).await })
        })
        .collect();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let before = script.groups().len();
    let closing: Vec<_> = (0..500)
        .map(|number| {
            let registry = registry.clone();
            tokio::spawn(async move { registry.close_session(SessionId(number)).await })
        })
        .collect();
    for closed in closing {
        assert!(closed.await.unwrap().unwrap().changed);
    }
    assert_eq!(registry.status().instances, 1);
    let groups = &script.groups()[before..];
    assert!(groups.len() <= 2, "{groups:?}");
}

#[tokio::test(start_paused = true)]
async fn unknown_leases_do_not_break_up_a_group() {
    let (registry, script) = busy().await;
    let before = script.groups().len();
    let writes: Vec<_> = (0..100)
        .map(|number| {
            let registry = registry.clone();
            tokio::spawn(async move {
                let lease = beatrix_core::model::Lease::from_bits(0xDEAD + number).unwrap();
                let unknown = registry.declare(lease, None).await;
                assert!(matches!(unknown, Err(WriteError::Refused(Refusal::UnknownLease))));
            })
        })
        .collect();
    let registering: Vec<_> = (0..100)
        .map(|number| {
            let registry = registry.clone();
            tokio::spawn(async move { try_register(&registry, "s", nth(number), fixed()).await })
        })
        .collect();
    for write in writes {
        write.await.unwrap();
    }
    for registered in registering {
        registered.await.unwrap().unwrap();
    }
    assert!(script.groups().len() - before <= 2, "{:?}", script.groups());
}
