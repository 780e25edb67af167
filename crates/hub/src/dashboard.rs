//! The page: files embedded in the binary. Nothing is loaded from anywhere else.
//!
//! The Content-Security-Policy allows this origin alone and no inline script, so that even a
//! hostile host name that slipped through could run nothing.

use std::sync::OnceLock;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::api::matches_etag;
use crate::api::problem::ProblemResponse;

#[derive(RustEmbed)]
#[folder = "dashboard/"]
struct Files;

/// What the page may do.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'";

/// Whether a path is one of the page's files.
pub(crate) fn has(path: &str) -> bool {
    find(path).is_some()
}

/// The page's files; everything else that no route answers is a problem.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let Some((name, file)) = find(path) else {
        return ProblemResponse::no_such_path(path).into_response();
    };
    if method != Method::GET && method != Method::HEAD {
        let problem = ProblemResponse::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            format!("{path} is a file of the page: it answers GET and HEAD"),
        );
        return ([(header::ALLOW, "GET, HEAD")], problem).into_response();
    }
    respond(name, file, &headers)
}

fn respond(name: &str, file: EmbeddedFile, request: &HeaderMap) -> Response {
    let etag = etag(&file);
    let mut response = if matches_etag(request, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, content_type(name))], file.data).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    // The browser keeps it and asks each time whether it is still good: a new binary shows at once.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    response
}

fn find(path: &str) -> Option<(&str, EmbeddedFile)> {
    let name = match path.strip_prefix('/')? {
        "" => "index.html",
        "favicon.ico" | "favicon.svg" => "icon.svg",
        name => name,
    };
    // Only what was embedded under exactly this name can be found: no path leads out.
    names().binary_search_by(|known| (**known).cmp(name)).ok()?;
    Files::get(name).map(|file| (name, file))
}

/// The names of the files, ascending.
fn names() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names: Vec<String> = Files::iter().map(|name| name.into_owned()).collect();
        names.sort_unstable();
        names
    })
}

fn etag(file: &EmbeddedFile) -> HeaderValue {
    let hash = file.metadata.sha256_hash();
    let hash: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
