//! Which ports of a Service Istio routes as HTTP, exactly as it decides it: by `appProtocol`, else by what the port's name
//! begins with. Where neither means anything to it, it looks at the bytes, so HTTP is found.

use k8s_openapi::api::core::v1::ServicePort;

/// Ports at which Istio does not look at the bytes: servers of SMTP, DNS, MySQL and MongoDB send the first.
const SERVER_FIRST: [i32; 4] = [25, 53, 3306, 27017];

/// Do `http` routes apply to requests to this port?
pub fn is_http(port: &ServicePort) -> bool {
    if port.protocol.as_deref().is_some_and(|protocol| protocol != "TCP") {
        return false;
    }
    let declared = match port.app_protocol.as_deref() {
        Some("kubernetes.io/h2c" | "kubernetes.io/ws") => "http",
        Some("kubernetes.io/wss") => "https",
        Some(own) => own,
        None => port.name.as_deref().unwrap_or_default(),
    };
    let prefix = declared.split('-').next().unwrap_or_default().to_ascii_lowercase();
    match prefix.as_str() {
        "http" | "http2" | "http_proxy" | "grpc" => true,
        "tcp" | "tls" | "https" | "udp" | "mongo" | "redis" | "mysql" => false,
        _ => !SERVER_FIRST.contains(&port.port),
    }
}

/// `tcp-redis (6379, appProtocol tcp)`, as a message names it.
pub fn title(port: &ServicePort) -> String {
    let number = port.port;
    let protocol = match (port.protocol.as_deref(), &port.app_protocol) {
        (Some(protocol), _) if protocol != "TCP" => format!(", protocol {protocol}"),
        (_, Some(protocol)) => format!(", appProtocol {protocol}"),
        (_, None) => String::new(),
    };
    match &port.name {
        Some(name) => format!("{name} ({number}{protocol})"),
        None => format!("{number}{protocol}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn istio_decides_by_app_protocol_then_by_name() {
        let cases = [
            (80, "http", None, true),
            (80, "http2-web", None, true),
            (80, "grpc-web", None, true),
            (80, "web", None, true),
            (80, "", None, true),
            (80, "httpd", None, true),
            (80, "tcp", None, false),
            (80, "tcp-http", None, false),
            (80, "https-web", None, false),
            (6379, "redis", None, false),
            (3306, "db", None, false),
            (3306, "http-db", None, true),
            (80, "tcp-web", Some("http"), true),
            (80, "tcp-web", Some("GRPC"), true),
            (80, "tcp-web", Some("kubernetes.io/h2c"), true),
            (80, "tcp-web", Some("example.com/own"), true),
            (80, "http", Some("tcp"), false),
            (80, "http", Some("kubernetes.io/wss"), false),
        ];
        for (port, name, app_protocol, expected) in cases {
            let name = Some(name.to_owned()).filter(|name| !name.is_empty());
            let app_protocol = app_protocol.map(str::to_owned);
            let port = ServicePort { port, name, app_protocol, ..ServicePort::default() };
            assert_eq!(is_http(&port), expected, "{}", title(&port));
        }
        let name = Some("http".into());
        let port = ServicePort { port: 80, name, protocol: Some("UDP".into()), ..ServicePort::default() };
        assert!(!is_http(&port), "whatever its name is");
    }
}
