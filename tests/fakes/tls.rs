//! A certificate of `localhost`, and who has to trust it.
use super::Wire;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{fs, path::PathBuf, sync::Arc};

/// TLS of a server, by a certificate that this test alone makes.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    /// The certificate, for `SSL_CERT_FILE`.
    pub trusted: PathBuf,
    _folder: Arc<tempfile::TempDir>,
}

impl Default for Tls {
    fn default() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let trusted = folder.path().join("trusted.pem");
        fs::write(&trusted, made.cert.pem()).unwrap();
        Self {
            config: Arc::new(config),
            trusted,
            _folder: Arc::new(folder),
        }
    }
}

impl Tls {
    pub(super) fn over<'a>(&self, wire: impl Wire + 'a) -> Box<dyn Wire + 'a> {
        let connection = ServerConnection::new(self.config.clone()).unwrap();
        Box::new(StreamOwned::new(connection, wire))
    }
}
