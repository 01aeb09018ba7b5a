//! `GET /nacos/v1/ns/instance/list`: the instances that callers may use.

use axum::extract::State;
use axum::response::Response;

use crate::door::Nacos;
use crate::frames;
use crate::listing::{self, Filter};
use crate::params::{Param, Params};
use crate::reply;
use crate::service::Service;

use super::admitted::Admitted;
use super::error::TextError;

pub(super) async fn list(
    State(nacos): State<Nacos>,
    Admitted(request): Admitted,
) -> Result<Response, TextError> {
    let params = Params::find(request.uri().query(), b"");
    let service = Service::of(&params)?;
    let clusters = params.get(Param::Clusters)?.unwrap_or_default();
    let filter = Filter {
        clusters: &clusters,
        healthy_only: params.is_true(Param::HealthyOnly, false)?,
    };
    filter.check(Param::Clusters)?;
    let found = listing::hosts(&nacos, &service, filter)?;
    let pieces = listing::whole(&nacos, service.borrowed(), &clusters, found);
    Ok(reply::json(frames::body(pieces)))
}
