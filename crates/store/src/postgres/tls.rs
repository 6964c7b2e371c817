//! The connection string, and what it says about TLS. `disable` never encrypts; `prefer`, the default, encrypts when
//! the server offers it; `require`, `verify-ca` and `verify-full` refuse anything else. Whenever a connection is
//! encrypted, certificate and host name are verified, against the file of `sslrootcert` or the system's authorities:
//! encryption towards somebody unknown protects from nobody.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::fault::Fault;

/// The settings of the library, and how it makes TLS connections.
pub fn split(url: &str) -> Result<(Config, MakeRustlsConnect), Fault> {
    let mut authorities = None;
    let mut strict = false;
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslrootcert", file)) => authorities = Some(file.to_owned()),
            Some(("sslmode", "verify-ca" | "verify-full")) => strict = true,
            _ => kept.push(pair),
        }
    }
    let kept = kept.join("&");
    let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{kept}") };
    let mut config: Config = url.parse().map_err(|_| Fault::BadUrl)?;
    if strict {
        config.ssl_mode(SslMode::Require);
    }
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    Ok((config, MakeRustlsConnect::new(client(authorities.as_deref())?)))
}

fn client(authorities: Option<&str>) -> Result<rustls::ClientConfig, Fault> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = authorities {
        let bad = |source: Box<dyn std::error::Error + Send + Sync>| Fault::Open {
            database: format!("certificates in {file}"),
            source,
        };
        let found = CertificateDer::pem_file_iter(file).map_err(|e| bad(e.into()))?;
        for certificate in found {
            roots.add(certificate.map_err(|e| bad(e.into()))?).map_err(|e| bad(e.into()))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Fault::Bug("the TLS library has its own default versions"))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
