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

/// Pictures of what MCP clients list, each by its name.
static ICONS: [(&str, &[u8]); 6] = [
    ("read", include_bytes!("../assets/icon-read.svg")),
    ("write", include_bytes!("../assets/icon-write.svg")),
    ("release", include_bytes!("../assets/icon-release.svg")),
    ("evidence", include_bytes!("../assets/icon-evidence.svg")),
    ("action", include_bytes!("../assets/icon-action.svg")),
    ("guide", include_bytes!("../assets/icon-guide.svg")),
];

/// The picture that is asked for by `icon-….svg`.
fn icon(name: &str) -> Option<&'static [u8]> {
    let name = name.strip_prefix("icon-")?.strip_suffix(".svg")?;
    ICONS.iter().find(|(known, _)| *known == name).map(|(_, content)| *content)
}

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

/// `GET /assets/{name}`. The manifest and MCP clients name icons without a hash.
pub async fn serve(Path(name): Path<String>) -> Response {
    let hashed = NAMES.iter().zip(&ALL).find(|(known, _)| **known == name).map(|(_, asset)| asset);
    let plain =
        ALL.iter().find(|asset| asset.is_icon() && name == format!("{}.{}", asset.stem, asset.ending));
    let ((media, content), caching) = match (hashed, plain, icon(&name)) {
        (Some(asset), _, _) => ((asset.media, asset.content), "public, max-age=31536000, immutable"),
        (None, Some(asset), _) => ((asset.media, asset.content), "public, max-age=86400"),
        (None, None, Some(icon)) => (("image/svg+xml", icon), "public, max-age=86400"),
        (None, None, None) => return (StatusCode::NOT_FOUND, "not found").into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, media),
        (header::CACHE_CONTROL, caching),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, content).into_response()
}
