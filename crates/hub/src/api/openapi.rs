//! The API's own description: OpenAPI 3.1, made from the handlers.

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use utoipa::openapi::path::Paths;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Info, OpenApi, SecurityRequirement};

use super::ApiContext;
use super::cache::Answer;

/// Where the description is served.
pub(super) const PATH: &str = "/api/openapi.json";

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

/// The route that serves the document.
pub(super) fn route(document: &OpenApi) -> Router<ApiContext> {
    let answer = Answer::new(text(document).into_bytes());
    let serve = move |headers: HeaderMap| {
        let answer = answer.clone();
        async move { answer.json(&headers) }
    };
    Router::new().route(PATH, get(serve))
}
