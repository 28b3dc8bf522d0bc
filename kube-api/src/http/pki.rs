//! The cluster's certificates: its own authority, and what it signs for the server and for clients.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

use crate::certificates::CertificateRequest;
use crate::certificates::issue::{Terms, issue};

/// How long the authority is valid.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// How long the certificates it signs are valid.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(365 * 86_400);
/// Clocks of clients may be behind by so much.
const CLOCK_SKEW: Duration = Duration::from_secs(300);
/// Certificates that live shorter are not cut by the skew. Source: `PermissiveSigningPolicy.Short`.
const SHORT_LIFE: Duration = Duration::from_secs(8 * 3600);

/// Why a certificate could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The names or keys are no good.
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The PEM text is no good.
    #[error("reading PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// The certificate does not fit its key, or the authority.
    #[error("setting up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A request cannot be signed.
    #[error("signing a request: {0}")]
    Request(String),
    /// The authority cannot verify clients.
    #[error("verifying clients: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// The cluster's certificate authority.
pub struct Authority {
    certificate: String,
    key: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Authority").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Authority {
    /// A new authority, valid from now for [`AUTHORITY_LIFE`]. The key comes from the system's randomness.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn create(now: Timestamp) -> Result<Self, PkiError> {
        let key = KeyPair::generate()?;
        let mut params = authority_params()?;
        validity(&mut params, now, AUTHORITY_LIFE);
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, key: key.serialize_pem(), issuer: Issuer::new(params, key) })
    }

    /// An authority that was made by [`Authority::create`] before.
    ///
    /// # Errors
    /// If the key is no PEM key.
    pub fn load(identity: Identity) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(&identity.key)?;
        let issuer = Issuer::new(authority_params()?, key);
        Ok(Self { certificate: identity.certificate, key: identity.key, issuer })
    }

    /// The authority's own certificate and key, to be kept.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity { certificate: self.certificate.clone(), key: self.key.clone() }
    }

    /// The authority's certificate, which clients trust. PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a server at these names and addresses.
    ///
    /// # Errors
    /// If a name is no DNS name or address.
    pub fn server(&self, names: &[&str], now: Timestamp) -> Result<Identity, PkiError> {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth, now)
    }

    /// A certificate for a user in groups.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn client(&self, user: &str, groups: &[&str], now: Timestamp) -> Result<Identity, PkiError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, user);
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth, now)
    }

    /// A certificate, in PEM, that answers a request: for these usages (in Kubernetes' words), for `life` from now on, but never
    /// longer than the authority itself.
    ///
    /// # Errors
    /// If the authority has ended, or the system has no randomness.
    pub fn answer(
        &self,
        request: &CertificateRequest,
        usages: &[String],
        life: Duration,
        now: Timestamp,
    ) -> Result<String, PkiError> {
        let no = |error: &dyn std::fmt::Display| PkiError::Request(error.to_string());
        let mut serial: [u8; 16] = ring::rand::generate(&ring::rand::SystemRandom::new())
            .map_err(|_unspecified| PkiError::Request("the system has no randomness".to_owned()))?
            .expose();
        if let Some(first) = serial.first_mut() {
            *first = *first & 0x7f | 0x40;
        }
        // Those that live long give the skew back at their end.
        let life = if life < SHORT_LIFE { life } else { life.saturating_sub(CLOCK_SKEW) };
        let terms = Terms {
            usages,
            not_before: now.checked_sub(CLOCK_SKEW).map_err(|error| no(&error))?,
            not_after: now.checked_add(life).map_err(|error| no(&error))?,
            serial: &serial,
        };
        issue(request, &terms, &self.certificate, self.issuer.key()).map_err(PkiError::Request)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        purpose: ExtendedKeyUsagePurpose,
        now: Timestamp,
    ) -> Result<Identity, PkiError> {
        validity(&mut params, now, CERTIFICATE_LIFE);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }

    /// The TLS side of a server that shows `identity`, and trusts client certificates that this authority signed.
    /// Clients without a certificate are let in; they can show a token.
    ///
    /// # Errors
    /// If the identity's certificate and key do not fit.
    pub fn tls(&self, identity: &Identity) -> Result<Arc<rustls::ServerConfig>, PkiError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certificate.as_bytes())?)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let verifier = verifier.allow_unauthenticated().build()?;
        let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes())?];
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = config.with_client_cert_verifier(verifier).with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn authority_params() -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "coracle-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn validity(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let since_epoch = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch.saturating_sub(CLOCK_SKEW);
    params.not_after = epoch + since_epoch + life;
}
