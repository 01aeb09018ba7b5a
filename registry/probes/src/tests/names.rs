//! Which addresses are dialled: host names, and names that answer differently each time.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use beatrix_core::model::{Endpoint, ProbeKind, Tls};

use super::servers::{Server, drain, nobody};
use super::{asking, grpc, http, outcome, spec};
use crate::{ProbeOutcome, Prober, ProberConfig, Resolve, Resolved, SystemResolver};

/// Answers each lookup with the next of its lists, the last one for ever.
struct Script {
    answers: Vec<Vec<&'static str>>,
    lookups: Arc<AtomicUsize>,
}

impl Resolve for Script {
    fn resolve(&self, _: &str) -> Resolved {
        let lookup = self.lookups.fetch_add(1, Ordering::Relaxed);
        let answer = &self.answers[lookup.min(self.answers.len() - 1)];
        let addresses: Vec<IpAddr> = answer.iter().map(|text| text.parse().unwrap()).collect();
        Box::pin(async move { Ok(addresses) })
    }
}

/// A prober to whom a name has these addresses, one list after the other; and how often it asked.
fn prober(answers: &[&[&'static str]]) -> (Prober, Arc<AtomicUsize>) {
    let lookups = Arc::new(AtomicUsize::new(0));
    let resolver = Script {
        answers: answers.iter().map(|answer| answer.to_vec()).collect(),
        lookups: Arc::clone(&lookups),
    };
    let config = ProberConfig {
        resolver: Arc::new(resolver),
        ..ProberConfig::default()
    };
    (Prober::new(config), lookups)
}

fn named(port: u16) -> Endpoint {
    Endpoint::new("orders.example", port).unwrap()
}

/// A server that notes that it was asked, and hangs up.
async fn hanging_up() -> Server {
    Server::of(|stream| async move { drop(stream) }).await
}

fn kinds() -> impl Iterator<Item = ProbeKind> {
    let tls = [http("/", Tls::Unverified), grpc("", Tls::Unverified)];
    let verified = Tls::verified("orders.example").unwrap();
    let verified = [http("/", verified.clone()), grpc("", verified)];
    asking()
        .into_iter()
        .chain([ProbeKind::Tcp])
        .chain(tls)
        .chain(verified)
}

#[tokio::test]
async fn rule_12_a_forbidden_address_is_not_dialled_by_any_kind() {
    for address in [
        "169.254.169.254:80",
        "[fe80::1]:80",
        "224.0.0.1:80",
        "0.0.0.0:80",
        "[::]:80",
    ] {
        for kind in kinds() {
            let what = outcome(address.parse().unwrap(), kind).await;
            assert!(matches!(what, ProbeOutcome::Forbidden(_)), "{address}: {what:?}");
        }
    }
    // Written as IPv6, it is the same address.
    let what = outcome("[::ffff:169.254.169.254]:80".parse().unwrap(), ProbeKind::Tcp).await;
    assert_eq!(what, ProbeOutcome::Forbidden([169, 254, 169, 254].into()));
}

#[tokio::test]
async fn a_forbidden_address_is_dialled_if_the_configuration_allows_it() {
    let config = ProberConfig {
        allow: vec!["0.0.0.0".parse().unwrap()],
        ..ProberConfig::default()
    };
    // On Linux, 0.0.0.0 is this machine.
    let server = Server::of(|mut stream| async move { drop(drain(&mut stream).await) }).await;
    let target = Endpoint::new("0.0.0.0", server.address.port()).unwrap();
    let verdict = Prober::new(config).probe(&target, &spec(ProbeKind::Tcp)).await;
    assert_eq!(verdict.what, ProbeOutcome::Passed);
}

#[tokio::test]
async fn rule_12_one_forbidden_address_of_a_name_forbids_it() {
    let mut server = Server::of(|mut stream| async move { drop(drain(&mut stream).await) }).await;
    for kind in kinds() {
        let (prober, _) = prober(&[&["127.0.0.1", "169.254.169.254"]]);
        let verdict = prober.probe(&named(server.address.port()), &spec(kind)).await;
        assert_eq!(verdict.what, ProbeOutcome::Forbidden([169, 254, 169, 254].into()));
    }
    assert_eq!(server.taken(), 0);
    // The same without the forbidden one does arrive there, so that the above says something.
    let (prober, _) = prober(&[&["127.0.0.1"]]);
    let verdict = prober
        .probe(&named(server.address.port()), &spec(ProbeKind::Tcp))
        .await;
    assert_eq!(verdict.what, ProbeOutcome::Passed);
    server.left_alone().await;
}

/// The name is good when it is checked and would be another when it is dialled.
#[tokio::test]
async fn rule_12_the_checked_address_is_the_one_that_is_dialled() {
    for kind in kinds() {
        let mut server = hanging_up().await;
        let (prober, lookups) = prober(&[&["127.0.0.1"], &["169.254.169.254"]]);
        let what = prober
            .probe(&named(server.address.port()), &spec(kind.clone()))
            .await
            .what;
        server.left_alone().await;
        assert_eq!(
            (server.taken(), lookups.load(Ordering::Relaxed)),
            (1, 1),
            "{kind:?}: {what:?}"
        );
        // The next probe looks again, and dials no more.
        let what = prober
            .probe(&named(server.address.port()), &spec(kind))
            .await
            .what;
        assert_eq!(what, ProbeOutcome::Forbidden([169, 254, 169, 254].into()));
        assert_eq!(server.taken(), 1);
    }
}

/// However a name is written, the address that it was found to have is dialled, and by no kind another.
#[tokio::test]
async fn a_name_leads_where_it_was_found_to_be_however_it_is_written() {
    for name in [
        "orders.example",
        "Orders.Example",
        "orders.example.",
        "a_b.svc",
        "localhost",
        "xn--mnchen-3ya.example",
    ] {
        for kind in kinds() {
            // Not the address that the system would find for any of them.
            let (prober, _) = prober(&[&["127.0.0.3"]]);
            let listener = tokio::net::TcpListener::bind("127.0.0.3:0").await.unwrap();
            let target = Endpoint::new(name, listener.local_addr().unwrap().port()).unwrap();
            let spec = spec(kind.clone());
            let (verdict, taken) = tokio::join!(prober.probe(&target, &spec), async {
                // Taken, and let go of at once.
                listener.accept().await.unwrap();
                true
            });
            assert!(taken && verdict.counts(), "{name} {kind:?}: {verdict:?}");
        }
    }
}

/// A URL takes `0x7f000001` for 127.0.0.1 without asking anybody; the name was found to be another address.
#[tokio::test]
async fn a_name_that_a_url_takes_for_an_address_does_not_lead_elsewhere() {
    let elsewhere = hanging_up().await;
    let target = Endpoint::new("0x7f000001", elsewhere.address.port()).unwrap();
    for kind in kinds() {
        // Nobody listens at 127.0.0.2.
        let (prober, _) = prober(&[&["127.0.0.2"]]);
        let what = prober.probe(&target, &spec(kind.clone())).await.what;
        assert_eq!(what, ProbeOutcome::Refused, "{kind:?}");
    }
    assert_eq!(elsewhere.taken(), 0);
}

#[tokio::test]
async fn addresses_of_a_name_at_which_nobody_listens_are_passed_over() {
    let server = Server::saying("+PONG\r\n").await;
    let (prober, _) = prober(&[&["127.0.0.2", "127.0.0.1"]]);
    let target = named(server.address.port());
    let verdict = prober.probe(&target, &spec(super::redis(None))).await;
    assert_eq!(verdict.what, ProbeOutcome::Passed);
}

#[tokio::test]
async fn a_name_without_an_address_is_unresolved() {
    struct Nothing;
    impl Resolve for Nothing {
        fn resolve(&self, _: &str) -> Resolved {
            Box::pin(async { Err(io::Error::other("no such name")) })
        }
    }
    let nothing = ProberConfig {
        resolver: Arc::new(Nothing),
        ..ProberConfig::default()
    };
    for prober in [prober(&[&[]]).0, Prober::new(nothing)] {
        let verdict = prober.probe(&named(80), &spec(ProbeKind::Tcp)).await;
        assert_eq!(verdict.what, ProbeOutcome::Unresolved);
    }
}

/// The clock leaps, since nothing else happens.
#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_for_his_turn_to_look_up_a_name_is_not_held_to_be_bad() {
    struct Never;
    impl Resolve for Never {
        fn resolve(&self, _: &str) -> Resolved {
            Box::pin(std::future::pending())
        }
    }
    let prober = Prober::new(ProberConfig {
        resolver: Arc::new(Never),
        ..ProberConfig::default()
    });
    let probes = (0..=crate::LOOKUPS_MAX).map(|number| {
        let prober = prober.clone();
        let target = Endpoint::new(&format!("orders.example{number}"), 80).unwrap();
        async move { prober.probe(&target, &spec(ProbeKind::Tcp)).await }
    });
    let verdicts = futures_util::future::join_all(probes).await;
    let unresolved = verdicts
        .iter()
        .filter(|verdict| verdict.what == ProbeOutcome::Unresolved);
    assert_eq!(unresolved.count(), crate::LOOKUPS_MAX);
    let without: Vec<_> = verdicts.iter().filter(|verdict| !verdict.counts()).collect();
    assert_eq!(without.len(), 1);
    assert!(!without[0].good);
}

/// The name servers of one domain are silent. Names elsewhere are looked up all the same, and after it is over so are those.
#[tokio::test(start_paused = true)]
async fn names_of_a_domain_that_is_silent_do_not_hold_up_those_of_others() {
    struct OneSilent;
    impl Resolve for OneSilent {
        fn resolve(&self, name: &str) -> Resolved {
            let silent = name.to_lowercase().contains("silent");
            Box::pin(async move {
                if silent {
                    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
                }
                Ok(vec!["169.254.169.254".parse().unwrap()])
            })
        }
    }
    let prober = Prober::new(ProberConfig {
        resolver: Arc::new(OneSilent),
        ..ProberConfig::default()
    });
    let probe = |name: String| {
        let (prober, target) = (prober.clone(), Endpoint::new(&name, 80).unwrap());
        async move { prober.probe(&target, &spec(ProbeKind::Tcp)).await }
    };
    let silent = (0..2 * crate::LOOKUPS_MAX).map(|number| {
        probe(match number % 3 {
            0 => format!("a{number}.silent.example"),
            1 => format!("b.c{number}.Silent.example."),
            _ => "silent.example".to_owned(),
        })
    });
    let (silent, other) = tokio::join!(
        futures_util::future::join_all(silent),
        probe("a.lively.example".to_owned())
    );
    assert!(matches!(other.what, ProbeOutcome::Forbidden(_)), "{other:?}");
    let asked = silent
        .iter()
        .filter(|verdict| verdict.what == ProbeOutcome::Unresolved);
    assert_eq!(asked.count(), crate::LOOKUPS_OF_DOMAIN_MAX);
    // They keep their turns until they end.
    assert!(!probe("x.silent.example".to_owned()).await.counts());
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let verdict = probe("x.silent.example".to_owned()).await;
    assert_eq!(verdict.what, ProbeOutcome::Unresolved);
}

#[tokio::test]
async fn the_system_knows_localhost() {
    let server = Server::of(|mut stream| async move { drop(drain(&mut stream).await) }).await;
    let target = Endpoint::new("localhost", server.address.port()).unwrap();
    let prober = Prober::new(ProberConfig {
        resolver: Arc::new(SystemResolver),
        ..ProberConfig::default()
    });
    let verdict = prober.probe(&target, &spec(ProbeKind::Tcp)).await;
    assert_eq!(verdict.what, ProbeOutcome::Passed);
}

#[tokio::test]
async fn the_port_of_the_probe_comes_before_that_of_the_instance() {
    let server = Server::of(|mut stream| async move { drop(drain(&mut stream).await) }).await;
    let registered = super::endpoint(nobody().await);
    let plan = beatrix_core::model::ProbePlan {
        port: Some(server.address.port()),
        ..Default::default()
    };
    let spec = beatrix_core::model::ProbeSpec::new(ProbeKind::Tcp, plan).unwrap();
    let prober = Prober::new(ProberConfig::default());
    assert_eq!(prober.probe(&registered, &spec).await.what, ProbeOutcome::Passed);
}

#[tokio::test]
async fn without_a_port_nobody_is_asked() {
    let target = Endpoint::new("127.0.0.1", 0).unwrap();
    let prober = Prober::new(ProberConfig::default());
    let verdict = prober.probe(&target, &spec(ProbeKind::Tcp)).await;
    assert_eq!(verdict.what, ProbeOutcome::NoPort);
}
