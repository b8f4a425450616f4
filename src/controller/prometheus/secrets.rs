//! Credentials for a Prometheus, read by name for each query. Secrets are never listed, watched, kept or logged.

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::{
    api::{Prometheus, names::PROMETHEUS_LABEL},
    controller::request::bounded,
};

/// The credentials of a request.
#[derive(Default)]
pub struct Credentials {
    /// The value of the header Authorization.
    pub authorization: Option<Vec<u8>>,
    /// Certificate authorities, as PEM; none means those of the system.
    pub ca: Option<Vec<u8>>,
}

/// Why a Secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(
        "the controller is not allowed to read Secret {0}; grant its ServiceAccount a Role with resourceNames, as in \
         examples/promql-secret"
    )]
    Forbidden(String),
    #[error("Secret {0} does not exist")]
    Missing(String),
    #[error("Secret {0} is not used because it does not have the label {PROMETHEUS_LABEL}: \"true\"")]
    Unlabelled(String),
    #[error("Secret {0} has no key {1}")]
    NoKey(String, String),
    #[error("cannot read Secret {0}: {1}")]
    Failed(String, String),
}

/// Is there anything to read?
pub fn are_named(at: &Prometheus) -> bool {
    at.bearer_token_secret_ref.is_some() || at.basic_auth_secret_ref.is_some() || at.ca_secret_ref.is_some()
}

/// Reads what the query refers to.
pub async fn read(client: &Client, namespace: &str, at: &Prometheus) -> Result<Credentials, SecretError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut credentials = Credentials::default();
    if let Some(token) = &at.bearer_token_secret_ref {
        let token = value(&get(&api, &token.name).await?, token.key.as_deref().unwrap_or("token"))?;
        credentials.authorization = Some([b"Bearer ", token.trim_ascii()].concat());
    }
    if let Some(basic) = &at.basic_auth_secret_ref {
        let secret = get(&api, &basic.name).await?;
        let (user, password) = (value(&secret, "username")?, value(&secret, "password")?);
        credentials.authorization = Some(basic_auth(&user, &password));
    }
    if let Some(ca) = &at.ca_secret_ref {
        credentials.ca = Some(value(&get(&api, &ca.name).await?, ca.key.as_deref().unwrap_or("ca.crt"))?);
    }
    Ok(credentials)
}

async fn get(api: &Api<Secret>, name: &str) -> Result<Secret, SecretError> {
    let secret = match bounded(api.get(name)).await {
        Ok(secret) => secret,
        Err(kube::Error::Api(status)) if status.code == 403 => return Err(SecretError::Forbidden(name.into())),
        Err(kube::Error::Api(status)) if status.code == 404 => return Err(SecretError::Missing(name.into())),
        Err(error) => return Err(SecretError::Failed(name.into(), error.to_string())),
    };
    let label = secret.metadata.labels.as_ref().and_then(|labels| labels.get(PROMETHEUS_LABEL));
    let labelled = label.is_some_and(|on| on == "true");
    if labelled { Ok(secret) } else { Err(SecretError::Unlabelled(name.into())) }
}

fn value(secret: &Secret, key: &str) -> Result<Vec<u8>, SecretError> {
    let value = secret.data.as_ref().and_then(|data| data.get(key));
    let name = || secret.metadata.name.clone().unwrap_or_default();
    value.map(|value| value.0.clone()).ok_or_else(|| SecretError::NoKey(name(), key.to_owned()))
}

fn basic_auth(user: &[u8], password: &[u8]) -> Vec<u8> {
    format!("Basic {}", BASE64_STANDARD.encode([user, b":", password].concat())).into_bytes()
}
