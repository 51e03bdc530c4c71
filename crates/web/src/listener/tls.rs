//! The certificate and key that the operator gives, as what TLS handshakes need. Reads no files: the binary does.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Why a certificate and a key cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The first PEM text holds no certificate.
    #[error("the certificate file holds no PEM certificate")]
    NoCertificate,
    /// The second PEM text holds no private key (PKCS#8, PKCS#1 or SEC1, not encrypted).
    #[error("the key file holds no unencrypted PEM private key")]
    NoKey,
    /// The key does not belong to the certificate, or its kind is unknown.
    #[error("the certificate and the key do not fit together: {0}")]
    Mismatch(rustls::Error),
}

/// Reads a certificate chain (the server's own first) and its key from PEM texts.
pub fn acceptor_from_pem(certificates: &[u8], key: &[u8]) -> Result<TlsAcceptor, TlsError> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(certificates).collect::<Result<_, _>>().map_err(|_| TlsError::NoCertificate)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Mismatch)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_without_pem_are_refused_by_name() {
        assert!(matches!(acceptor_from_pem(b"", b""), Err(TlsError::NoCertificate)));
        let certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(acceptor_from_pem(certificate, b"no key"), Err(TlsError::NoKey)));
    }
}
