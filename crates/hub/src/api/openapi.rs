//! The API's own description: OpenAPI 3.1, made from the handlers.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::openapi::path::Paths;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Info, OpenApi, SecurityRequirement};

use super::cache::Stamp;
use super::problem::ProblemResponse;
use super::query::Query;
use super::{ApiContext, accept};

/// The document before the handlers are added.
pub(super) fn head() -> OpenApi {
    let mut info = Info::new("Sickbay", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "How healthy machines, GPUs and jobs are, and why. Times are RFC 3339 in UTC, names are \
         snake case, every error is a problem detail (RFC 9457). A hub with a token wants it as \
         `Authorization: Bearer TOKEN` or as a session cookie."
            .to_owned(),
    );
    OpenApi::new(info, Paths::new())
}

/// What the handlers cannot say: a path parameter that takes the rest of the path is written as
/// OpenAPI writes it, and how to show the token.
pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths =
        paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    let components = document.components.get_or_insert_with(Components::new);
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("token", SecurityScheme::Http(token));
    let session = ApiKey::Cookie(ApiKeyValue::new("sickbay_session"));
    components.add_security_scheme("session", SecurityScheme::ApiKey(session));
    let no_scopes = || std::iter::empty::<String>();
    document.security = Some(vec![
        SecurityRequirement::new("token", no_scopes()),
        SecurityRequirement::new("session", no_scopes()),
        SecurityRequirement::default(),
    ]);
    document
}

/// The document as JSON.
pub(super) fn text(document: &OpenApi) -> String {
    document.to_pretty_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document cannot be written");
        "{}".to_owned()
    })
}

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", operation_id = "openapi", tag = "status",
    responses((status = 200, description = "The OpenAPI 3.1 document", body = serde_json::Value)))]
pub(super) async fn show(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    Query::parse(query.as_deref(), &[])?;
    accept::json(&headers)?;
    // The routes are part of the binary: described once.
    let stamp = Stamp { revision: 0, tick: 0 };
    let cache = &context.shared.cache;
    let answer =
        cache.get_or_make("/api/openapi.json", stamp, || Ok(super::openapi_json().into_bytes()))?;
    Ok(answer.json(&headers))
}
