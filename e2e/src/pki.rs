//! The lab's keys: one certificate authority, the API server's certificate, the key that signs ServiceAccount tokens.
//!
//! The API server would generate its own, with RSA, which takes a second in every test binary.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};

use crate::{Context, Error, network::NODE_IP};

/// The API server's names.
const NAMES: [&str; 3] = ["localhost", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
/// The first address of the Service range is the API server's own.
const SERVICE_IP: [u8; 4] = [10, 96, 0, 1];

/// Where the files are.
#[derive(Debug, Clone)]
pub struct Pki {
    /// The certificate authority that clients trust.
    pub ca: PathBuf,
    /// The API server's certificate.
    pub cert: PathBuf,
    /// The API server's key.
    pub key: PathBuf,
    /// Signs ServiceAccount tokens.
    pub token_key: PathBuf,
    /// Checks ServiceAccount tokens.
    pub token_pub: PathBuf,
    /// The certificate authority itself, for kubeconfigs that must not refer to files.
    pub ca_pem: String,
}

impl Pki {
    /// Generates all keys of one lab, in `dir`.
    pub fn create(dir: &Path) -> Result<Self, Error> {
        let (ca_pem, cert_pem, key_pem) = serving().context(|| "make certificates".into())?;
        let token = KeyPair::generate().context(|| "make the key for tokens".into())?;
        let file = |name: &str, text: String| {
            let path = dir.join(name);
            fs::write(&path, text).context(|| format!("write {}", path.display()))?;
            Ok::<_, Error>(path)
        };
        Ok(Self {
            ca: file("ca.crt", ca_pem.clone())?,
            cert: file("apiserver.crt", cert_pem)?,
            key: file("apiserver.key", key_pem)?,
            token_key: file("token.key", token.serialize_pem())?,
            token_pub: file("token.pub", token.public_key_pem())?,
            ca_pem,
        })
    }
}

/// The authority's certificate, the server's certificate and the server's key.
fn serving() -> Result<(String, String, String), rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    authority.distinguished_name.push(rcgen::DnType::CommonName, "kanary-lab");
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?;

    let mut server = CertificateParams::new(NAMES.map(String::from).to_vec())?;
    let addresses = [IpAddr::from([127, 0, 0, 1]), IpAddr::V4(NODE_IP), IpAddr::from(SERVICE_IP)];
    server.subject_alt_names.extend(addresses.map(SanType::IpAddress));
    server.distinguished_name.push(rcgen::DnType::CommonName, "kube-apiserver");
    let server_key = KeyPair::generate()?;
    let cert = server.signed_by(&server_key, &Issuer::new(authority, authority_key))?;
    Ok((ca.pem(), cert.pem(), server_key.serialize_pem()))
}
