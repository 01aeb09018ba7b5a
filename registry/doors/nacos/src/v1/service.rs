//! `/nacos/v1/ns/service`: the list of services.

use std::borrow::Cow;

use crate::door::Nacos;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use beatrix_core::catalog::DirectoryQuery;
use beatrix_core::model::{Group, Namespace};

use crate::error::Error;
use crate::params::{Param, Params};
use crate::reply;
use crate::wire::ServicesJson;

use super::admitted::Admitted;
use super::error::TextError;

/// `GET …/list`: a page of the services of one group, ordered by name. Services without instances are left out.
pub(super) async fn list(
    State(nacos): State<Nacos>,
    Admitted(request): Admitted,
) -> Result<Response, TextError> {
    let params = Params::find(request.uri().query(), b"");
    let (page, size) = (number(&params, Param::PageNo)?, number(&params, Param::PageSize)?);
    let namespace = params
        .get(Param::Namespace)?
        .unwrap_or(Cow::Borrowed(Namespace::DEFAULT));
    let group = params.get(Param::Group)?.unwrap_or(Cow::Borrowed(Group::DEFAULT));
    Namespace::check(&namespace).map_err(Error::from)?;
    Group::check(&group).map_err(Error::from)?;
    let found = nacos.registry.directory(DirectoryQuery {
        namespace: &namespace,
        group: Some(&group),
        group_contains: None,
        search: None,
        empty: false,
        declared: false,
        offset: page.saturating_sub(1).saturating_mul(size),
        limit: size,
    });
    let doms = found
        .services
        .iter()
        .map(|summary| summary.key.name.as_str())
        .collect();
    Ok(reply::json_of(
        StatusCode::OK,
        &ServicesJson {
            count: found.total,
            doms,
        },
    ))
}

/// Nacos v1: must be there, but what is no number counts as 0, and a page below 1 is the first.
fn number(params: &Params<'_>, name: Param) -> Result<usize, Error> {
    Ok(params.require(name)?.parse().unwrap_or(0))
}
