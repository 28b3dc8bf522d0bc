//! What a certificate request asks. Source: `pkg/apis/certificates` `ParseCSR`, `validateCSR`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coracle_core::User;
use coracle_core::field::{Errors, Json, Path};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::AttributeTypeAndValue;

/// A PKCS #10 request that its key has signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The subject's common name, the last if there are several. A certificate's user.
    pub common_name: String,
    /// The subject's organizations. A certificate's groups.
    pub organizations: Vec<String>,
    /// DNS names among the alternative names.
    pub dns_names: Vec<String>,
    /// E-mail addresses among the alternative names.
    pub emails: Vec<String>,
    /// URIs among the alternative names.
    pub uris: Vec<String>,
    /// IP addresses among the alternative names, 4 or 16 bytes each.
    pub addresses: Vec<Vec<u8>>,
    /// The subject, DER.
    pub(crate) subject: Vec<u8>,
    /// The public key with its algorithm, DER.
    pub(crate) public_key: Vec<u8>,
}

impl CertificateRequest {
    /// Reads PEM text.
    ///
    /// # Errors
    /// Says what is wrong: it is no PEM, no request, or the request's signature is not by its key.
    pub fn from_pem(text: &[u8]) -> Result<Self, String> {
        let der = from_pem(text, "CERTIFICATE REQUEST").ok_or("PEM block type must be CERTIFICATE REQUEST")?;
        let (rest, parsed) = X509CertificationRequest::from_der(&der).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("x509: trailing data".to_owned());
        }
        parsed.verify_signature().map_err(|error| format!("x509: {error}"))?;
        let info = &parsed.certification_request_info;
        let mut request = Self {
            common_name: texts(info.subject.iter_common_name())?.pop().unwrap_or_default(),
            organizations: texts(info.subject.iter_organization())?,
            subject: info.subject.as_raw().to_vec(),
            public_key: info.subject_pki.raw.to_vec(),
            ..Self::default()
        };
        for attribute in info.iter_attributes() {
            let ParsedCriAttribute::ExtensionRequest(asked) = attribute.parsed_attribute() else { continue };
            for extension in &asked.extensions {
                if let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() {
                    names.general_names.iter().try_for_each(|name| request.also_named(name))?;
                }
            }
        }
        Ok(request)
    }

    /// Other kinds of names are left out of the certificate, as upstream does.
    fn also_named(&mut self, name: &GeneralName<'_>) -> Result<(), String> {
        match name {
            GeneralName::DNSName(name) => self.dns_names.push((*name).to_owned()),
            GeneralName::RFC822Name(name) => self.emails.push((*name).to_owned()),
            GeneralName::URI(name) => self.uris.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) if matches!(bytes.len(), 4 | 16) => self.addresses.push(bytes.to_vec()),
            GeneralName::IPAddress(bytes) => {
                return Err(format!("x509: cannot parse IP address of length {}", bytes.len()));
            }
            GeneralName::Invalid(..) => return Err("x509: invalid subject alternative name".to_owned()),
            _ => {}
        }
        Ok(())
    }
}

/// A name that cannot be read is refused, not passed over: who reads the certificate later may be able to.
fn texts<'a>(names: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>) -> Result<Vec<String>, String> {
    names
        .map(|name| name.as_str().map(str::to_owned).map_err(|error| format!("x509: invalid subject: {error}")))
        .collect()
}

/// What the first PEM block of a kind holds.
pub(crate) fn from_pem(text: &[u8], kind: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, rest) = text.split_once(&format!("-----BEGIN {kind}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {kind}-----"))?;
    let body: String = body.chars().filter(|letter| !letter.is_whitespace()).collect();
    STANDARD.decode(body).ok()
}

/// Writes down who asks, whatever the object says. Source: registry `csrStrategy.PrepareForCreate`.
pub(crate) fn note_requester(request: &mut CertificateSigningRequest, user: &User) {
    let spec = &mut request.spec;
    spec.username = Some(user.name.clone()).filter(|name| !name.is_empty());
    spec.uid = Some(user.uid.clone()).filter(|uid| !uid.is_empty());
    spec.groups = Some(user.groups.clone()).filter(|groups| !groups.is_empty());
    spec.extra = Some(user.extra.clone()).filter(|extra| !extra.is_empty());
}

/// Looks inside a request whose wrapping is good.
pub(crate) fn validate(request: &CertificateSigningRequest, errors: &mut Errors) {
    let text = &request.spec.request;
    if errors.is_empty()
        && let Err(why) = CertificateRequest::from_pem(&text.0)
    {
        errors.invalid(&Path::new("spec").field("request"), Json(text), why);
    }
}
