//! Pages of the names of services.

use beatrix_core::catalog::DirectoryQuery;
use beatrix_core::model::{Group, Namespace};
use serde::Serialize;

use crate::grpc::answer::{Failure, success};
use crate::grpc::connection::Connection;
use crate::grpc::kind::Kind;
use crate::grpc::message::Outgoing;
use crate::grpc::subject;
use crate::grpc::wire::ListRequest;
use crate::operations::catalog::{self, Page};
use crate::wire::Scalar;

/// A page of names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::grpc) struct Names {
    count: usize,
    service_names: Vec<String>,
}

/// No names. Python's client cannot read an answer without them.
pub(in crate::grpc) const NONE: Names = Names {
    count: 0,
    service_names: Vec::new(),
};

/// Lists the services of a group, without the group in their names. Nacos 2.x: pages are counted from 1, one below that
/// is the first, and a page past the end is empty.
pub(in crate::grpc) async fn list(
    connection: &Connection,
    request: ListRequest<'_>,
) -> Result<Outgoing, Failure> {
    let number = |number: Option<i64>| usize::try_from(number.unwrap_or(0)).unwrap_or(0);
    let page = Page {
        number: number(request.page_no),
        size: number(request.page_size),
    };
    let namespace = subject::namespace(request.namespace.as_ref());
    Namespace::check(namespace)?;
    let group = match &request.group_name {
        Some(Scalar(group)) => group,
        None => Group::DEFAULT,
    };
    // Nobody is in a group without a name.
    if group.is_empty() {
        return Ok(success(Kind::List, NONE));
    }
    Group::check(group)?;
    let query = DirectoryQuery {
        namespace,
        group: Some(group),
        group_contains: None,
        search: None,
        empty: false,
        declared: true,
        offset: page.offset(),
        limit: page.size,
    };
    let (names, count) = catalog::names(&connection.nacos, query).await;
    Ok(success(
        Kind::List,
        Names {
            count,
            service_names: names.iter().map(|key| key.name.to_string()).collect(),
        },
    ))
}
