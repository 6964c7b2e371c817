//! The stylesheet, the scripts, the icons and the manifest of the site, inside the binary. Their address carries a hash of their
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
    content: &'static [u8],
}

impl Asset {
    fn is_icon(&self) -> bool {
        self.media.starts_with("image/")
    }
}

static ALL: [Asset; 8] = [
    Asset {
        stem: "app",
        ending: "css",
        media: "text/css; charset=utf-8",
        content: include_bytes!("../assets/app.css"),
    },
    Asset {
        stem: "app",
        ending: "js",
        media: "text/javascript; charset=utf-8",
        content: include_bytes!("../assets/app.js"),
    },
    Asset {
        stem: "palette",
        ending: "js",
        media: "text/javascript; charset=utf-8",
        content: include_bytes!("../assets/palette.js"),
    },
    Asset {
        stem: "passkey",
        ending: "js",
        media: "text/javascript; charset=utf-8",
        content: include_bytes!("../assets/passkey.js"),
    },
    Asset {
        stem: "assistant",
        ending: "js",
        media: "text/javascript; charset=utf-8",
        content: include_bytes!("../assets/assistant.js"),
    },
    Asset {
        stem: "favicon",
        ending: "svg",
        media: "image/svg+xml",
        content: include_bytes!("../assets/favicon.svg"),
    },
    Asset {
        stem: "touch",
        ending: "png",
        media: "image/png",
        content: include_bytes!("../assets/touch.png"),
    },
    Asset {
        stem: "manifest",
        ending: "webmanifest",
        media: "application/manifest+json",
        content: include_bytes!("../assets/manifest.webmanifest"),
    },
];

static NAMES: LazyLock<[String; 8]> = LazyLock::new(|| {
    ALL.each_ref().map(|asset| {
        let hash = Digest::of(asset.content).to_string();
        format!("{}.{}.{}", asset.stem, hash.get(..16).unwrap_or_default(), asset.ending)
    })
});

/// Addresses for the head of a page: stylesheet, the scripts, the icons, manifest.
pub fn addresses() -> [String; 8] {
    NAMES.each_ref().map(|name| format!("/assets/{name}"))
}

/// `GET /assets/{name}`. The manifest names its icons without a hash, because nothing writes one into it.
pub async fn serve(Path(name): Path<String>) -> Response {
    let hashed = NAMES.iter().zip(&ALL).find(|(known, _)| **known == name).map(|(_, asset)| asset);
    let plain =
        ALL.iter().find(|asset| asset.is_icon() && name == format!("{}.{}", asset.stem, asset.ending));
    let (asset, caching) = match (hashed, plain) {
        (Some(asset), _) => (asset, "public, max-age=31536000, immutable"),
        (None, Some(asset)) => (asset, "public, max-age=86400"),
        (None, None) => return (StatusCode::NOT_FOUND, "not found").into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, asset.media),
        (header::CACHE_CONTROL, caching),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, asset.content).into_response()
}
