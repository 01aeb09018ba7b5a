//! What the native API says to a bad request: a problem document, which names the kind, and the field and the rule.

use std::net::SocketAddr;

use anyhow::Context;
use beatrix_tests::http1::{self, Request};
use beatrix_wire::Problem;
use beatrix_wire::problem::{KIND_PREFIX, MEDIA_TYPE, kind};

/// A bad request, and what is to be said about it.
pub(super) struct Case {
    what: &'static str,
    request: Request,
    status: u16,
    kind: &'static str,
}

pub(super) fn case(what: &'static str, request: Request, status: u16, kind: &'static str) -> Case {
    Case {
        what,
        request,
        status,
        kind,
    }
}

pub(super) async fn check(addr: SocketAddr, case: Case) -> anyhow::Result<()> {
    let Case {
        what,
        request,
        status,
        kind,
    } = case;
    let answer = http1::send(addr, request)
        .await
        .with_context(|| what.to_owned())?;
    assert_eq!(answer.status(), status, "{what}: {}", answer.text());
    assert_eq!(answer.head.header("content-type"), Some(MEDIA_TYPE), "{what}");
    let problem: Problem = answer.json().with_context(|| what.to_owned())?;
    assert_eq!(
        problem.kind,
        format!("{KIND_PREFIX}{kind}"),
        "{what}: {problem:?}"
    );
    assert_eq!(problem.status, status, "{what}");
    assert!(
        !problem.title.is_empty() && !problem.detail.is_empty(),
        "{what}: {problem:?}"
    );
    if [kind::INVALID_VALUE, kind::LIMIT_EXCEEDED].contains(&kind) {
        assert!(
            problem.field.is_some() && problem.rule.is_some(),
            "{what}: {problem:?}"
        );
    }
    Ok(())
}
