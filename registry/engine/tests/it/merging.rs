//! Merged changes give the same view as all of them, whenever they are taken.

use beatrix_core::model::{Declared, DeclaredStatus, Lease};
use beatrix_engine::Registry;
use proptest::prelude::*;

use crate::support::follower::{Follower, poll};
use crate::support::{beating, fixed, key, ms, nth, registry, settle, try_register, weighing, with_metadata};

#[derive(Debug, Clone)]
enum Operation {
    Register(usize, u8),
    Fix(usize),
    Deregister(usize),
    Weigh(usize, u32),
    Clear(usize),
    Declare(usize, bool),
    Beat,
    Wait(u64),
    Take,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let member = 0_usize..5;
    let operation = prop_oneof![
        4 => (member.clone(), 0_u8..3).prop_map(|(member, entry)| Operation::Register(member, entry)),
        1 => member.clone().prop_map(Operation::Fix),
        3 => member.clone().prop_map(Operation::Deregister),
        2 => (member.clone(), 1_u32..4).prop_map(|(member, weight)| Operation::Weigh(member, weight)),
        1 => member.clone().prop_map(Operation::Clear),
        1 => (member, any::<bool>()).prop_map(|(member, unwell)| Operation::Declare(member, unwell)),
        1 => Just(Operation::Beat),
        3 => prop_oneof![0_u64..60, 0_u64..20_000].prop_map(Operation::Wait),
        3 => Just(Operation::Take),
    ];
    prop::collection::vec(operation, 1..80)
}

async fn carry_out(registry: &Registry, leases: &mut [Option<Lease>], operation: &Operation) {
    // Refusals (there is no such instance) are part of the game.
    match operation {
        Operation::Register(member, entry) => {
            let registration = with_metadata(beating(), &entry.to_string());
            let registered = try_register(registry, "s", nth(*member), registration)
                .await
                .unwrap();
            leases[*member] = Some(registered.lease);
        }
        Operation::Fix(member) => {
            try_register(registry, "s", nth(*member), fixed()).await.unwrap();
        }
        Operation::Deregister(member) => {
            let _refused = registry.deregister(key("s"), nth(*member), None, &[]).await;
        }
        Operation::Weigh(member, weight) => {
            let _refused = registry.operate(key("s"), nth(*member), weighing(*weight)).await;
        }
        Operation::Clear(member) => {
            let _refused = registry.clear_operator(key("s"), nth(*member)).await;
        }
        Operation::Declare(member, unwell) => {
            let declared = unwell.then(|| Declared::new(DeclaredStatus::Unhealthy, None).unwrap());
            if let Some(lease) = leases[*member] {
                let _refused = registry.declare(lease, declared).await;
            }
        }
        Operation::Beat => {
            let leases: Vec<Lease> = leases.iter().flatten().copied().collect();
            registry.beat(&leases, |_| ());
        }
        Operation::Wait(time) => tokio::time::sleep(ms(*time)).await,
        Operation::Take => settle().await,
    }
}

async fn follows(operations: Vec<Operation>) {
    let registry = registry().await;
    let mut leases = vec![None; 5];
    let mut follower = Follower::new(&registry, vec![key("s")]);
    for operation in &operations {
        carry_out(&registry, &mut leases, operation).await;
        if matches!(operation, Operation::Take)
            && let Some(batch) = poll(&mut follower.subscription)
        {
            assert_eq!(batch.updates.len(), 1);
            follower.take_all(&batch);
        }
    }
    tokio::time::sleep(ms(60)).await;
    while let Some(batch) = poll(&mut follower.subscription) {
        follower.take_all(&batch);
    }
    assert!(follower.agrees(&registry));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_told_is_what_there_is(operations in operations()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(follows(operations));
    }
}
