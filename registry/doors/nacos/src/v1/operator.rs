//! `/nacos/v1/ns/operator`: the server as a whole.

use crate::door::Nacos;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::params::{Param, Params};
use crate::reply;
use crate::wire::{CountsJson, MetricsJson};

use super::admitted::Admitted;
use super::error::TextError;

/// `GET …/metrics`. The C++ client looks for the text `status":"UP`, so it is compact and comes first.
pub(super) async fn metrics(
    State(nacos): State<Nacos>,
    Admitted(request): Admitted,
) -> Result<Response, TextError> {
    let params = Params::find(request.uri().query(), b"");
    let counts = if params.is_true(Param::OnlyStatus, true)? {
        None
    } else {
        let status = nacos.registry.status();
        Some(CountsJson {
            service_count: status.services,
            instance_count: status.instances,
            subscribe_count: status.subscribers,
            responsible_instance_count: status.instances,
        })
    };
    let status = if nacos.registry.complete() {
        "UP"
    } else {
        "STARTING"
    };
    Ok(reply::json_of(StatusCode::OK, &MetricsJson { status, counts }))
}
