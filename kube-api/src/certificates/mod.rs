//! Certificates that clients ask for by CertificateSigningRequests.
//!
//! | file | what it holds |
//! |---|---|
//! | `request` | what a request asks: read from PEM, its signature verified |
//! | `signers` | what each of Kubernetes' own signers signs |
//! | `issue` | the certificate that answers a request |
//! | `der` | just enough DER to write one |

mod der;
pub(crate) mod issue;
pub mod request;
pub mod signers;

pub use issue::expires_at;
pub use request::CertificateRequest;
