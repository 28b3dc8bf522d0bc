//! The certificate that answers a request. Source: `pkg/controller/certificates/authority`.
//!
//! The subject and the key are those of the request byte for byte, so that no group gets lost; usages are those the
//! CertificateSigningRequest names; of the request's extensions only alternative names count.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::{KeyPair, SignatureAlgorithm, SigningKey as _};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::CertificateRequest;
use super::der::{self, OBJECT, OCTET_STRING, TRUE, sequence, value};
use super::request::from_pem;

const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const AUTHORITY_KEY: &[u8] = &[0x55, 0x1d, 0x23];
const EXTENDED_USAGE: &[u8] = &[0x55, 0x1d, 0x25];

/// What a key may be used for, by number. Source: RFC 5280, 4.2.1.3; `keyUsageDict`.
const USAGES: [(&str, u8); 10] = [
    ("signing", 0),
    ("digital signature", 0),
    ("content commitment", 1),
    ("key encipherment", 2),
    ("data encipherment", 3),
    ("key agreement", 4),
    ("cert sign", 5),
    ("crl sign", 6),
    ("encipher only", 7),
    ("decipher only", 8),
];

/// What a certificate may be used for, by object identifier, in the order in which they are written. Source: `extKeyUsageDict`.
const PURPOSES: [(&str, &[u8]); 13] = [
    ("any", &[0x55, 0x1d, 0x25, 0x00]),
    ("server auth", &[0x2b, 6, 1, 5, 5, 7, 3, 1]),
    ("client auth", &[0x2b, 6, 1, 5, 5, 7, 3, 2]),
    ("code signing", &[0x2b, 6, 1, 5, 5, 7, 3, 3]),
    ("email protection", &[0x2b, 6, 1, 5, 5, 7, 3, 4]),
    ("s/mime", &[0x2b, 6, 1, 5, 5, 7, 3, 4]),
    ("ipsec end system", &[0x2b, 6, 1, 5, 5, 7, 3, 5]),
    ("ipsec tunnel", &[0x2b, 6, 1, 5, 5, 7, 3, 6]),
    ("ipsec user", &[0x2b, 6, 1, 5, 5, 7, 3, 7]),
    ("timestamping", &[0x2b, 6, 1, 5, 5, 7, 3, 8]),
    ("ocsp signing", &[0x2b, 6, 1, 5, 5, 7, 3, 9]),
    ("microsoft sgc", &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 10, 3, 3]),
    ("netscape sgc", &[0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 4, 1]),
];

/// How signatures are named, whole, by the kind of the key that makes them.
const SIGNATURES: [(&SignatureAlgorithm, &[u8]); 4] = [
    (&rcgen::PKCS_ECDSA_P256_SHA256, &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]),
    (&rcgen::PKCS_ECDSA_P384_SHA384, &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3]),
    (&rcgen::PKCS_ED25519, &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70]),
    (&rcgen::PKCS_RSA_SHA256, &[0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b, 5, 0]),
];

/// What is decided about a certificate beside what its request says.
pub(crate) struct Terms<'a> {
    /// What it may be used for, in Kubernetes' words.
    pub(crate) usages: &'a [String],
    /// When it begins to be valid.
    pub(crate) not_before: Timestamp,
    /// When it ends, if the authority does not end before.
    pub(crate) not_after: Timestamp,
    /// The number that tells it from all others; not empty, and the first bit is not set.
    pub(crate) serial: &'a [u8],
}

/// Signs a request by an authority's certificate (PEM) and key; gives PEM.
///
/// # Errors
/// Says why not: the authority's certificate has ended or cannot be read, or its key is of a kind that is not known here.
pub(crate) fn issue(
    request: &CertificateRequest,
    terms: &Terms<'_>,
    authority: &str,
    key: &KeyPair,
) -> Result<String, String> {
    let authority = from_pem(authority.as_bytes(), "CERTIFICATE").ok_or("the authority's certificate is no PEM")?;
    let (_, authority) = X509Certificate::from_der(&authority).map_err(|error| error.to_string())?;
    let ends = Timestamp::from_second(authority.validity().not_after.timestamp()).map_err(|error| error.to_string())?;
    if ends < terms.not_before {
        return Err(format!("the signer has expired: NotAfter={ends}"));
    }
    let (_, algorithm) = SIGNATURES
        .iter()
        .find(|(kind, _)| *kind == key.algorithm())
        .ok_or("the authority's key is of an unknown kind")?;
    let valid = [der::time(terms.not_before), der::time(terms.not_after.min(ends))];
    let signed = sequence([
        &*value(0xa0, &value(der::INTEGER, &[2])),
        &*value(der::INTEGER, terms.serial),
        algorithm,
        authority.subject().as_raw(),
        &*sequence(valid.iter().map(Vec::as_slice)),
        &*request.subject,
        &*request.public_key,
        &*value(0xa3, &extensions(request, terms.usages, &authority)),
    ]);
    let signature = key.sign(&signed).map_err(|error| error.to_string())?;
    Ok(to_pem(&sequence([&*signed, algorithm, &*der::bits(&signature)])))
}

fn extensions(request: &CertificateRequest, usages: &[String], authority: &X509Certificate<'_>) -> Vec<u8> {
    let mut extensions = Vec::new();
    let asked = |name: &str| usages.iter().any(|usage| usage == name);
    let numbers: Vec<u8> = USAGES.iter().filter(|(name, _)| asked(name)).map(|(_, number)| *number).collect();
    if !numbers.is_empty() {
        extensions.push(extension(KEY_USAGE, true, &der::flags(numbers)));
    }
    let mut purposes: Vec<&[u8]> = PURPOSES.iter().filter(|(name, _)| asked(name)).map(|(_, object)| *object).collect();
    purposes.dedup();
    if !purposes.is_empty() {
        let purposes: Vec<_> = purposes.into_iter().map(|object| value(OBJECT, object)).collect();
        extensions.push(extension(EXTENDED_USAGE, false, &sequence(purposes.iter().map(Vec::as_slice))));
    }
    extensions.push(extension(BASIC_CONSTRAINTS, true, &sequence([])));
    for known in authority.extensions() {
        if let ParsedExtension::SubjectKeyIdentifier(identifier) = known.parsed_extension() {
            extensions.push(extension(AUTHORITY_KEY, false, &sequence([&*value(0x80, identifier.0)])));
        }
    }
    let names = alternative_names(request);
    if !names.is_empty() {
        // A certificate whose subject is empty is known by these alone.
        let critical = request.subject == sequence([]);
        extensions.push(extension(ALTERNATIVE_NAMES, critical, &sequence(names.iter().map(Vec::as_slice))));
    }
    sequence(extensions.iter().map(Vec::as_slice))
}

fn alternative_names(request: &CertificateRequest) -> Vec<Vec<u8>> {
    let texts = |tag: u8, names: &[String]| names.iter().map(|name| value(tag, name.as_bytes())).collect::<Vec<_>>();
    let addresses = request.addresses.iter().map(|address| value(0x87, address)).collect();
    [texts(0x82, &request.dns_names), texts(0x81, &request.emails), addresses, texts(0x86, &request.uris)].concat()
}

fn extension(object: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let critical = if critical { TRUE } else { &[] };
    sequence([&*value(OBJECT, object), critical, &*value(OCTET_STRING, content)])
}

fn to_pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for (index, letter) in text.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem + "\n-----END CERTIFICATE-----\n"
}

/// When a certificate (PEM) ends; `None` if it cannot be read.
#[must_use]
pub fn expires_at(certificate: &[u8]) -> Option<Timestamp> {
    let der = from_pem(certificate, "CERTIFICATE")?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}
