//! Services, namespaces and settings that are declared: what waits together sees each other, readers see it at once,
//! and subscribers are neither told nor misled.

use beatrix_core::catalog::{Command, EXPIRY, Refusal};
use beatrix_core::model::{Existence, NamespaceInfo, OperatorPatch, Revision, ServicePatch, Threshold};
use beatrix_engine::hub::UpdateKind;
use beatrix_engine::{Registry, WriteError};

use crate::support::follower::{Follower, poll, told};
use crate::support::journal::Script;
use crate::support::{
    beating, deregister, endpoint, fixed, health, key, member, ms, nth, register, registry, settle, sleep_ms,
    start, subscribe, try_register, unguarded,
};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

fn threshold(threshold: f64) -> ServicePatch {
    ServicePatch {
        protect_threshold: Some(Threshold::new(threshold).unwrap()),
        ..ServicePatch::default()
    }
}

fn off() -> OperatorPatch {
    OperatorPatch {
        enabled: Some(false),
        ..OperatorPatch::default()
    }
}

async fn declare(registry: &Registry, service: &str, at: f64) {
    let declared = registry
        .declare_service(key(service), threshold(at), Existence::Any)
        .await;
    assert!(declared.unwrap().changed);
}

fn shown(registry: &Registry, service: &str) -> Option<f64> {
    let view = registry.view(key(service).borrowed())?;
    Some(view.settings.as_ref()?.protect_threshold.get())
}

#[tokio::test(start_paused = true)]
async fn readers_see_it_at_once_and_subscribers_are_told_nothing() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let mut subscription = subscribe(&registry, &["s"], None);
    let first = told(&mut subscription).await;
    declare(&registry, "s", 0.5).await;
    assert_eq!(shown(&registry, "s"), Some(0.5));
    sleep_ms(1_000).await;
    assert!(poll(&mut subscription).is_none());

    // What is told next starts where they were told last.
    register(&registry, "s", B).await;
    let next = told(&mut subscription).await;
    let UpdateKind::Delta { from, delta } = &next.updates[0].kind else {
        panic!("{:?}", next.updates[0])
    };
    assert_eq!((*from, delta.upserted.len()), (first.updates[0].to.revision, 1));

    // Who comes back with a state from before it has missed nothing.
    declare(&registry, "s", 0.6).await;
    let mut resumed = subscribe(&registry, &["s"], Some(next.updates[0].to.revision));
    sleep_ms(1_000).await;
    assert!(poll(&mut resumed).is_none());
    register(&registry, "s", "10.0.0.3:80").await;
    let UpdateKind::Delta { delta, .. } = &told(&mut resumed).await.updates[0].kind else {
        panic!("the log reaches back far enough")
    };
    assert_eq!(delta.upserted.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_changes_nothing_has_no_revision() {
    let registry = registry().await;
    declare(&registry, "s", 0.5).await;
    let before = registry.version();
    let again = registry
        .declare_service(key("s"), threshold(0.5), Existence::Present)
        .await;
    assert!(!again.unwrap().changed);
    let nothing = registry
        .declare_service(key("s"), ServicePatch::default(), Existence::Any)
        .await;
    assert!(!nothing.unwrap().changed);
    assert!(!registry.set("a".parse().unwrap(), None).await.unwrap().changed);
    assert_eq!(registry.version(), before);
}

#[tokio::test(start_paused = true)]
async fn a_removed_service_that_comes_again_is_told_as_a_whole() {
    let registry = registry().await;
    let services = || ["s", "t"].map(key).to_vec();
    let mut follower = Follower::new(&registry, services());
    let mut late = Follower::new(&registry, services());
    follower.hear().await;
    late.hear().await;
    for round in 0..5 {
        register(&registry, "s", A).await;
        register(&registry, "s", B).await;
        declare(&registry, "s", 0.5).await;
        sleep_ms(60 * (round % 2)).await;
        while let Some(batch) = poll(&mut follower.subscription) {
            follower.take_all(&batch);
        }
        deregister(&registry, "s", A).await;
        deregister(&registry, "s", B).await;
        sleep_ms(30 * (round % 3)).await;
        assert!(registry.remove_service(key("s")).await.unwrap().changed);
        assert!(registry.view(key("s").borrowed()).is_none());
        sleep_ms(30 * (round % 3)).await;
        let other = try_register(&registry, "s", nth(usize::try_from(round).unwrap()), fixed()).await;
        assert!(other.unwrap().changed);
        assert_eq!(shown(&registry, "s"), None);
        sleep_ms(100).await;
        while let Some(batch) = poll(&mut follower.subscription) {
            follower.take_all(&batch);
        }
        assert!(follower.agrees(&registry), "round {round}");
        deregister(&registry, "s", &nth(usize::try_from(round).unwrap()).to_string()).await;
        registry.remove_service(key("s")).await.unwrap();
        sleep_ms(100).await;
        while let Some(batch) = poll(&mut follower.subscription) {
            follower.take_all(&batch);
        }
        assert!(follower.agrees(&registry), "round {round}");
    }
    register(&registry, "s", B).await;
    sleep_ms(100).await;
    late.reconnect(&registry);
    for follower in [&mut follower, &mut late] {
        while let Some(batch) = poll(&mut follower.subscription) {
            follower.take_all(&batch);
        }
        assert!(follower.agrees(&registry));
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_and_a_registration_that_wait_together_see_each_other() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    declare(&registry, "s", 0.5).await;
    script.take(ms(100));
    let first = registry.clone();
    tokio::spawn(async move { try_register(&first, "first", nth(0), fixed()).await });
    settle().await;
    let (registered, refused) = tokio::join!(
        try_register(&registry, "s", endpoint(A), beating()),
        registry.remove_service(key("s")),
    );
    assert!(registered.unwrap().changed);
    assert!(matches!(
        refused,
        Err(WriteError::Refused(Refusal::ServiceNotEmpty(_)))
    ));
    assert_eq!(shown(&registry, "s"), Some(0.5));
    let (gone, removed, registered) = tokio::join!(
        registry.deregister(key("s"), endpoint(A), None, &[]),
        registry.remove_service(key("s")),
        try_register(&registry, "s", endpoint(A), beating()),
    );
    assert!(gone.unwrap().changed && removed.unwrap().changed && registered.unwrap().changed);
    assert_eq!(shown(&registry, "s"), None);
    assert_eq!(health(&registry, "s", A), "healthy");
}

#[tokio::test(start_paused = true)]
async fn refusals_reach_whoever_asked() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let info = || NamespaceInfo {
        name: "n".into(),
        description: String::new(),
    };
    let dev = || "dev".parse().unwrap();
    let refused = [
        registry
            .declare_service(key("s"), threshold(0.5), Existence::Absent)
            .await,
        registry
            .declare_service(key("t"), threshold(0.5), Existence::Present)
            .await,
        registry.remove_service(key("s")).await,
        registry.remove_service(key("t")).await,
        registry.operate_ahead(key("t"), endpoint(A), off()).await,
        registry.remove_namespace(dev()).await,
        registry
            .declare_namespace(dev(), info(), Existence::Present)
            .await,
        registry.set(EXPIRY.parse().unwrap(), Some("maybe".into())).await,
    ];
    let texts = refused.map(|refused| refused.unwrap_err().to_string());
    assert_eq!(
        texts.each_ref().map(String::as_str),
        [
            "service `public/DEFAULT_GROUP/s` exists already",
            "service `public/DEFAULT_GROUP/t` not found",
            "service `public/DEFAULT_GROUP/s` has instances",
            "service `public/DEFAULT_GROUP/t` not found",
            "service `public/DEFAULT_GROUP/t` not found",
            "namespace `dev` not found",
            "namespace `dev` not found",
            "expiry must be on or off, but is \"maybe\"",
        ]
    );
    assert_eq!(registry.version().revision, Revision(1));
}

#[tokio::test(start_paused = true)]
async fn settings_are_read_without_the_owner_and_their_version_grows() {
    let registry = registry().await;
    let name = || "door.switch".parse().unwrap();
    let version = registry.settings_version();
    assert!(registry.set(name(), Some("1".into())).await.unwrap().changed);
    assert_eq!(registry.setting("door.switch").as_deref(), Some("1"));
    assert!(registry.settings_version() > version);
    let version = registry.settings_version();
    declare(&registry, "s", 0.5).await;
    assert_eq!(
        registry.settings_version(),
        version,
        "of settings, not of services"
    );
    registry.set(name(), None).await.unwrap();
    assert_eq!(registry.setting("door.switch"), None);
    assert!(registry.settings_version() > version);
}

#[tokio::test(start_paused = true)]
async fn layers_set_ahead_are_listed_and_lie_over_what_registers() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    assert!(
        registry
            .operate_ahead(key("s"), endpoint(B), off())
            .await
            .unwrap()
            .changed
    );
    let layers = registry.layers(key("s").borrowed());
    assert_eq!((layers.len(), layers[0].present), (1, false));
    register(&registry, "s", B).await;
    assert!(!member(&registry, "s", B).unwrap().record.enabled());
    assert!(registry.layers(key("s").borrowed())[0].present);
    assert!(registry.layers(key("none").borrowed()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn with_expiry_off_nobody_falls_and_with_it_on_again_all_have_their_time() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let expiry = |value: &str| registry.set(EXPIRY.parse().unwrap(), Some(value.into()));
    expiry("off").await.unwrap();
    sleep_ms(3_600_000).await;
    assert_eq!(health(&registry, "s", A), "healthy");
    expiry("on").await.unwrap();
    sleep_ms(14_990).await;
    assert_eq!(health(&registry, "s", A), "healthy");
    sleep_ms(20).await;
    assert_eq!(health(&registry, "s", A), "unhealthy");
}

#[tokio::test(start_paused = true)]
async fn all_that_was_declared_is_there_after_a_restart() {
    let script = Script::default();
    let before = start(unguarded(), script.journal()).await;
    register(&before, "s", A).await;
    declare(&before, "s", 0.5).await;
    declare(&before, "empty", 0.25).await;
    declare(&before, "removed", 0.25).await;
    before.remove_service(key("removed")).await.unwrap();
    before.operate_ahead(key("s"), endpoint(B), off()).await.unwrap();
    before.set("a".parse().unwrap(), Some("1".into())).await.unwrap();
    let info = NamespaceInfo {
        name: "Dev".into(),
        description: "for all".into(),
    };
    before
        .declare_namespace("dev".parse().unwrap(), info, Existence::Absent)
        .await
        .unwrap();
    before.stop().await;
    let after = start(unguarded(), script.journal()).await;
    for registry in [&before, &after] {
        assert_eq!(shown(registry, "s"), Some(0.5));
        assert_eq!(shown(registry, "empty"), Some(0.25));
        assert!(registry.view(key("removed").borrowed()).is_none());
        assert_eq!(registry.setting("a").as_deref(), Some("1"));
        let namespaces = registry.namespaces();
        assert_eq!(namespaces.len(), 2);
        assert_eq!(namespaces[0].info.as_ref().unwrap().description, "for all");
        assert_eq!((namespaces[1].services, namespaces[1].info.is_none()), (2, true));
    }
    assert_eq!(
        before.layers(key("s").borrowed()),
        after.layers(key("s").borrowed())
    );
    assert_eq!(before.version(), after.version());
}

/// What is about more than instances is decided with no other; what is about instances waits for it on both sides.
#[tokio::test(start_paused = true)]
async fn each_stands_alone_in_its_commit() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    script.take(ms(100));
    let first = registry.clone();
    tokio::spawn(async move { try_register(&first, "first", nth(0), fixed()).await });
    settle().await;
    let (one, two, declared, set, three) = tokio::join!(
        try_register(&registry, "s", nth(1), fixed()),
        try_register(&registry, "s", nth(2), fixed()),
        registry.declare_service(key("s"), threshold(0.5), Existence::Present),
        registry.set("a".parse().unwrap(), Some("1".into())),
        try_register(&registry, "s", nth(3), fixed()),
    );
    assert!(one.is_ok() && two.is_ok() && declared.unwrap().changed && set.is_ok() && three.is_ok());
    assert_eq!(script.groups(), [1, 2, 1, 1, 1]);
    let alone = Command::RemoveService { service: key("s") };
    assert!(alone.stands_alone());
}

/// The only update of the first batch, which must be a snapshot.
async fn whole(registry: &Registry, service: &str) -> (Revision, Option<f64>, usize) {
    let mut newcomer = subscribe(registry, &[service], None);
    let batch = told(&mut newcomer).await;
    let UpdateKind::Snapshot(view) = &batch.updates[0].kind else {
        panic!("{:?}", batch.updates[0])
    };
    let settings = view.settings.as_ref();
    let threshold = settings.map(|settings| settings.protect_threshold.get());
    (view.revision, threshold, view.len())
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_told_what_readers_see_also_of_what_is_not_pushed() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let mut first = subscribe(&registry, &["s", "t"], None);
    let _snapshots = told(&mut first).await;
    declare(&registry, "s", 0.5).await;
    let seen = registry.view(key("s").borrowed()).unwrap().revision;
    assert_eq!(whole(&registry, "s").await, (seen, Some(0.5), 1));
    // Of another newcomer's snapshot, too, what is said later is no part.
    declare(&registry, "s", 0.25).await;
    sleep_ms(10_000).await;
    assert_eq!(whole(&registry, "s").await.1, Some(0.25));

    declare(&registry, "t", 0.5).await;
    assert_eq!(whole(&registry, "t").await.1, Some(0.5));
    registry.remove_service(key("t")).await.unwrap();
    let removed = registry.version().revision;
    assert_eq!(whole(&registry, "t").await, (removed, None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_told_what_readers_see_also_within_a_burst() {
    let registry = registry().await;
    let mut first = subscribe(&registry, &["s"], None);
    let _snapshot = told(&mut first).await;
    register(&registry, "s", A).await;
    let _pushed = told(&mut first).await;
    for instances in 2..5 {
        // None of these is pushed yet.
        register(&registry, "s", &format!("10.0.0.{instances}:80")).await;
        let (revision, _, told) = whole(&registry, "s").await;
        let seen = registry.view(key("s").borrowed()).unwrap();
        assert_eq!((revision, told), (seen.revision, seen.len()));
        assert_eq!(told, instances);
    }
    assert!(poll(&mut first).is_none(), "they are still merged");
}

#[tokio::test(start_paused = true)]
async fn who_resumes_far_behind_is_told_what_was_declared_since_the_last_snapshot() {
    let mut config = unguarded();
    config.catalog.change_log_max = 4;
    let registry = start(config, Script::default().journal()).await;
    for number in 0..10 {
        try_register(&registry, "s", nth(number), fixed()).await.unwrap();
    }
    let resumed = async || {
        let mut late = subscribe(&registry, &["s"], Some(Revision(1)));
        let batch = told(&mut late).await;
        let UpdateKind::Snapshot(view) = &batch.updates[0].kind else {
            panic!("{:?}", batch.updates[0])
        };
        view.settings.is_some()
    };
    let _stays = subscribe(&registry, &["s"], None);
    assert!(!resumed().await);
    declare(&registry, "s", 0.5).await;
    sleep_ms(10_000).await;
    assert!(resumed().await);
}
