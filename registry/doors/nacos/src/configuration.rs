//! The configuration centre of Nacos, which this server is not. It says so, instead of having no such path: a client that
//! was pointed here by mistake shows its user a sentence.
//!
//! All is answered with 501. v1 gets text; v2 and v3 their frame, with the code of Nacos for a function that is off.

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::any;

use crate::door::Nacos;
use crate::error::Code;
use crate::{reply, result};

/// What is said.
const NONE: &str = "this server registers services only, it is not a configuration server";

/// The paths, with any method.
pub(crate) fn routes() -> Router<Nacos> {
    let mut routes = Router::new();
    for path in [
        "/nacos/v1/cs/{*path}",
        "/nacos/v2/cs/{*path}",
        "/nacos/v3/client/cs/{*path}",
        "/nacos/v3/admin/cs/{*path}",
        "/nacos/v3/console/cs/{*path}",
    ] {
        routes = routes.route(path, any(refuse));
    }
    routes
}

async fn refuse(uri: Uri) -> Response {
    if uri.path().starts_with("/nacos/v1/") {
        reply::text(StatusCode::NOT_IMPLEMENTED, NONE.to_owned())
    } else {
        result::of(StatusCode::NOT_IMPLEMENTED, Code::DISABLED, NONE)
    }
}
