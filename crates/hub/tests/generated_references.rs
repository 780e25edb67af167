//! The API's description in docs/reference/. `cargo xtask generate` rewrites it; this fails when it is
//! not what the handlers say.

use expect_test::expect_file;

#[test]
fn generated_openapi() {
    let document: serde_json::Value =
        serde_json::from_str(&sickbay_hub::api::openapi_json()).expect("JSON");
    let text = serde_json::to_string_pretty(&document).expect("JSON again") + "\n";
    expect_file!["../../../docs/reference/openapi.json"].assert_eq(&text);
}
