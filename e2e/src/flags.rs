//! The flags that keep a control plane small and private to the lab.

use std::path::{Path, PathBuf};

use crate::{
    Error,
    access::{CONTROLLER_MANAGER, KWOK, SCHEDULER},
    manifests,
    network::NODE_IP,
    pki::Pki,
};

const ETCD: &str = "http://127.0.0.1:2379";

/// All controllers, except those that need a cloud, a disk or a bootstrap token.
const CONTROLLERS: &str = "*,-nodeipam,-node-route-controller,-service-lb-controller,-cloud-node-lifecycle,\
    -persistentvolume-binder-controller,-persistentvolume-attach-detach-controller,-persistentvolume-expander-controller,\
    -ephemeral-volume-controller,-certificatesigningrequest-signing-controller";

/// What the flags point to.
#[derive(Debug)]
pub struct Flags {
    /// The lab's files.
    pub dir: PathBuf,
    /// Its keys.
    pub pki: Pki,
}

impl Flags {
    /// etcd's.
    pub fn etcd(&self) -> Vec<String> {
        let peers = "http://127.0.0.1:2380";
        vec![
            format!("--data-dir={}", self.file("etcd")),
            format!("--listen-client-urls={ETCD}"),
            format!("--advertise-client-urls={ETCD}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster=default={peers}"),
            "--log-level=warn".into(),
        ]
    }

    /// The API server's.
    pub fn apiserver(&self, tokens: &Path) -> Vec<String> {
        vec![
            format!("--etcd-servers={ETCD}"),
            "--secure-port=6443".into(),
            "--bind-address=127.0.0.1".into(),
            format!("--advertise-address={NODE_IP}"),
            format!("--tls-cert-file={}", self.pki.cert.display()),
            format!("--tls-private-key-file={}", self.pki.key.display()),
            "--service-cluster-ip-range=10.96.0.0/12".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-key-file={}", self.pki.token_pub.display()),
            format!("--service-account-signing-key-file={}", self.pki.token_key.display()),
            format!("--token-auth-file={}", tokens.display()),
            "--authorization-mode=RBAC".into(),
            "--allow-privileged".into(),
            // OpenShift enables it; without it, a role that lacks the finalizers subresource works here and fails
            // there.
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement".into(),
            format!("--audit-policy-file={}", self.file("audit-policy.yaml")),
            format!("--audit-log-path={}", self.dir.join("audit.log").display()),
            // Written before the response, so that a test that has the response can count it.
            "--audit-log-mode=blocking-strict".into(),
            "--audit-log-maxsize=4096".into(),
        ]
    }

    /// kube-controller-manager's.
    pub fn controller_manager(&self) -> Vec<String> {
        let mut args = vec![
            format!("--kubeconfig={}", CONTROLLER_MANAGER.kubeconfig(&self.dir).display()),
            "--leader-elect=false".into(),
            format!("--service-account-private-key-file={}", self.pki.token_key.display()),
            format!("--root-ca-file={}", self.pki.ca.display()),
            format!("--controllers={CONTROLLERS}"),
            // 15 s by default, which a test would have to wait for.
            "--horizontal-pod-autoscaler-sync-period=2s".into(),
            // A busy machine renews the nodes' leases late, which must not make all pods unready.
            "--node-monitor-grace-period=1h".into(),
        ];
        let scale = "--kube-api-qps=500 --kube-api-burst=1000 --concurrent-deployment-syncs=20 \
            --concurrent-replicaset-syncs=20 --concurrent-gc-syncs=40 --concurrent-namespace-syncs=20";
        args.extend(scale.split_whitespace().map(String::from));
        args
    }

    /// kube-scheduler's.
    pub fn scheduler(&self) -> Vec<String> {
        vec![
            format!("--kubeconfig={}", SCHEDULER.kubeconfig(&self.dir).display()),
            "--leader-elect=false".into(),
            "--kube-api-qps=500".into(),
            "--kube-api-burst=1000".into(),
        ]
    }

    /// kwok's.
    pub fn kwok(&self) -> Result<Vec<String>, Error> {
        let mut args = vec![
            format!("--kubeconfig={}", KWOK.kubeconfig(&self.dir).display()),
            "--manage-all-nodes=true".into(),
            "--cidr=10.244.0.0/16".into(),
            format!("--node-ip={NODE_IP}"),
        ];
        let stages = manifests::files(&manifests::repository().join("e2e/stages"))?;
        args.extend(stages.iter().map(|stage| format!("--config={}", stage.display())));
        Ok(args)
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}
