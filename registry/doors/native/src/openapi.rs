//! The routes, and the OpenAPI document that is made from them.

use axum::Router;
use beatrix_engine::Registry;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::backup::{export, import};
use crate::{
    beats, declaration, drains, explain, guards, history, instances, operator, past, probes, reports,
    services, watch,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Beatrix",
        description = "A service registry that knows who is alive. Errors are `application/problem+json` (RFC 9457); \
                       their `type` is `urn:beatrix:problem:` and a word that never changes its meaning.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "instances", description = "Register, beat, deregister, operate"),
        (name = "services", description = "Who is there"),
        (name = "watch", description = "Be told of every change"),
        (name = "backup", description = "Everything as lines, and back"),
        (name = "history", description = "What happened, and how the registry is"),
    )
)]
struct Document;

pub(crate) fn router() -> OpenApiRouter<Registry> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(
            instances::register,
            instances::deregister,
            instances::get,
            operator::operate
        ))
        .routes(routes!(operator::clear_operator))
        .routes(routes!(operator::layers))
        .routes(routes!(drains::drain, drains::progress, drains::cancel))
        .routes(routes!(probes::get, probes::order))
        .routes(routes!(explain::explain))
        .routes(routes!(reports::report))
        .routes(routes!(reports::end))
        .routes(routes!(beats::beat))
        .routes(routes!(services::namespaces))
        .routes(routes!(services::list))
        .routes(routes!(services::get, declaration::declare))
        .routes(routes!(watch::watch))
        .routes(routes!(watch::acknowledge))
        .routes(routes!(history::events))
        .routes(routes!(past::difference))
        .routes(routes!(export::export))
        .routes(routes!(import::import))
        .routes(routes!(history::status))
        .routes(routes!(guards::force_guard, guards::end_guard))
}

/// Adds the document, and the page to try it where that is built in.
#[cfg(feature = "swagger-ui")]
pub(crate) fn serve(router: Router, document: utoipa::openapi::OpenApi) -> Router {
    router.merge(utoipa_swagger_ui::SwaggerUi::new("/api/docs").url("/api/openapi.json", document))
}

/// Adds the document.
#[cfg(not(feature = "swagger-ui"))]
pub(crate) fn serve(router: Router, document: utoipa::openapi::OpenApi) -> Router {
    router.route(
        "/api/openapi.json",
        axum::routing::get(move || async move { axum::Json(document) }),
    )
}
