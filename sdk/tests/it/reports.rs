//! Reporting instances that cannot be reached.

use std::time::Duration;

use axum::http::StatusCode;
use beatrix_sdk::wire::problem::kind;

use crate::mock::{Kind, Mock, eventually, instance};

#[tokio::test]
async fn failures_are_sent_together_at_most_once_a_second_and_a_success_takes_them_back() {
    let mock = Mock::start().await;
    let orders = mock.client().watch("orders").unwrap();
    let (a, b, c) = (instance("10.0.0.1"), instance("10.0.0.2"), instance("10.0.0.3"));
    let begun = tokio::time::Instant::now();
    for _ in 0..50 {
        orders.report_failure(&a, "connect: refused");
        orders.report_failure(&b, "timeout");
        orders.report_failure(&c, "reset");
    }
    orders.report_success(&c);
    eventually("a report has come", || !mock.registry.reports.lock().is_empty()).await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    let request = mock.registry.reports.lock()[0].clone();
    let mut told: Vec<_> = request.reports.iter().collect();
    told.sort_unstable_by_key(|report| &report.address);
    let told: Vec<_> = told
        .iter()
        .map(|report| (&*report.address, report.failures, &*report.last_error))
        .collect();
    assert_eq!(
        told,
        [("10.0.0.1", 50, "connect: refused"), ("10.0.0.2", 50, "timeout")]
    );
    assert_eq!(
        (&*request.reports[0].service, request.consumer.is_empty()),
        ("orders", false)
    );
    // Nothing more failed: nothing more is sent.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(mock.count(Kind::Report), 1);
}

#[tokio::test]
async fn while_the_registry_is_away_reports_are_dropped_quietly_and_later_ones_arrive() {
    let mock = Mock::start().await;
    let orders = mock.client().watch("orders").unwrap();
    mock.refuse(Kind::Report, StatusCode::SERVICE_UNAVAILABLE, kind::UNAVAILABLE);
    orders.report_failure(&instance("10.0.0.1"), "connect: refused");
    eventually("it was tried", || mock.count(Kind::Report) == 1).await;
    mock.accept(Kind::Report);
    orders.report_failure(&instance("10.0.0.2"), "connect: refused");
    eventually("a report has come", || !mock.registry.reports.lock().is_empty()).await;
    let request = mock.registry.reports.lock()[0].clone();
    assert_eq!(request.reports.len(), 1, "what failed before is over");
    assert_eq!(request.reports[0].address, "10.0.0.2");
}
