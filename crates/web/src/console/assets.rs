//! The stylesheet, the scripts and the icon of the site, inside the binary. Their address carries a hash of their
//! content, so that browsers may keep them for ever and still get a new one at once.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::digest::Digest;

struct Asset {
    stem: &'static str,
    ending: &'static str,
    media: &'static str,
    content: &'static str,
}

static ALL: [Asset; 5] = [
    Asset {
        stem: "app",
        ending: "css",
        media: "text/css; charset=utf-8",
        content: include_str!("../assets/app.css"),
    },
    Asset {
        stem: "app",
        ending: "js",
        media: "text/javascript; charset=utf-8",
        content: include_str!("../assets/app.js"),
    },
    Asset {
        stem: "passkey",
        ending: "js",
        media: "text/javascript; charset=utf-8",
        content: include_str!("../assets/passkey.js"),
    },
    Asset {
        stem: "assistant",
        ending: "js",
        media: "text/javascript; charset=utf-8",
        content: include_str!("../assets/assistant.js"),
    },
    Asset {
        stem: "favicon",
        ending: "svg",
        media: "image/svg+xml",
        content: include_str!("../assets/favicon.svg"),
    },
];

static NAMES: LazyLock<[String; 5]> = LazyLock::new(|| {
    ALL.each_ref().map(|asset| {
        let hash = Digest::of(asset.content.as_bytes()).to_string();
        format!("{}.{}.{}", asset.stem, hash.get(..16).unwrap_or_default(), asset.ending)
    })
});

/// Addresses for the head of a page: stylesheet, the scripts, icon.
pub fn addresses() -> [String; 5] {
    NAMES.each_ref().map(|name| format!("/assets/{name}"))
}

/// `GET /assets/{name}`.
pub async fn serve(Path(name): Path<String>) -> Response {
    let found = NAMES.iter().zip(&ALL).find(|(known, _)| **known == name);
    let Some((_, asset)) = found else {
        return (StatusCode::NOT_FOUND, "not found").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, asset.media),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, asset.content).into_response()
}
